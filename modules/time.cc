#include "modules/time.h"

#include <fmt/format.h>

#include "modules/time_text.h"
#include "runner/base/duration.h"
#include "runner/base/value.h"
#include "runner/exec/executor.h"
#include "runner/goroutine/scheduler.h"
#include "runner/lua/stack.h"

namespace sloth {
namespace embedded {
extern const std::string_view modules_time_meta;
}
namespace {

double wall_seconds(lua_State* L) { return static_cast<double>(Scheduler::of(L).clock().wall_ms()) / 1000; }

int now(lua_State* L) {
  lua_pushnumber(L, wall_seconds(L));
  return 1;
}

int now_ms(lua_State* L) {
  lua_pushnumber(L, static_cast<double>(Scheduler::of(L).clock().wall_ms()));
  return 1;
}

int monotonic(lua_State* L) {
  lua_pushnumber(L, std::chrono::duration<double>(Scheduler::of(L).clock().now().time_since_epoch()).count());
  return 1;
}

// Seconds, or a text like "1m30s". Zero is allowed here, unlike in limits.
Result<Duration> read_duration(lua_State* L, int arg) {
  if (lua_type(L, arg) == LUA_TSTRING) return parse_duration(check_string(L, arg));
  const double longest = std::chrono::duration<double>(kLongestDuration).count();
  const double seconds = lua_type(L, arg) == LUA_TNUMBER ? lua_tonumber(L, arg) : -1;
  if (seconds >= 0 && seconds <= longest) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  }
  const std::string got =
      lua_type(L, arg) == LUA_TNUMBER ? number_text(lua_tonumber(L, arg)) : luaL_typename(L, arg);
  return Error{
      Code::kInvalid,
      fmt::format("seconds from 0 to {:.0f} or a text like \"1m30s\" expected, got {}", longest, got)};
}

int sleep(lua_State* L) {
  const auto duration = read_duration(L, 1);
  if (!duration) arg_error(L, 1, duration.error().message);
  Scheduler& scheduler = Scheduler::of(L);
  struct Sleep {
    TimerId timer = 0;
    Waker waker;
  };
  auto state = std::make_shared<Sleep>();
  Executor& executor = scheduler.executor();
  return scheduler.suspend(
      L, "time.sleep",
      [state, &executor, until = scheduler.clock().now() + *duration](const Waker& waker) {
        state->waker = waker;
        state->timer = executor.run_at(until, [waker] { waker.resolve(Value::List{}); });
      },
      [state, &executor] {
        executor.cancel(state->timer);
        state->waker.resolve(Value::List{});
      });
}

double check_time(lua_State* L, int arg) {
  if (lua_isnoneornil(L, arg)) return wall_seconds(L);
  check_type(L, arg, LUA_TNUMBER);
  return lua_tonumber(L, arg);
}

Zone check_zone(lua_State* L, int arg) {
  const std::string_view name = opt_string(L, arg, "local");
  if (name != "local" && name != "utc") arg_error(L, arg, "\"local\" or \"utc\" expected");
  return name == "utc" ? Zone::kUtc : Zone::kLocal;
}

int format(lua_State* L) {
  const double seconds = check_time(L, 1);
  const std::string layout(opt_string(L, 2, "%Y-%m-%d %H:%M:%S"));
  auto text = format_time(seconds, layout, check_zone(L, 3));
  if (!text) arg_error(L, 1, text.error().message);
  push(L, *text);
  return 1;
}

int parse(lua_State* L) {
  const std::string text(check_string(L, 1));
  const std::string layout(opt_string(L, 2, ""));
  const Zone zone = check_zone(L, 3);
  auto seconds = layout.empty() ? parse_rfc3339(text) : parse_time(text, layout, zone);
  if (!seconds) return fail(L, seconds.error().message);
  lua_pushnumber(L, *seconds);
  return 1;
}

int rfc3339(lua_State* L) {
  auto text = format_rfc3339(check_time(L, 1));
  if (!text) arg_error(L, 1, text.error().message);
  push(L, *text);
  return 1;
}

int duration_of(lua_State* L) {
  auto parsed = parse_duration(check_string(L, 1));
  if (!parsed) return fail(L, parsed.error().message);
  lua_pushnumber(L, std::chrono::duration<double>(*parsed).count());
  return 1;
}

int duration_text(lua_State* L) {
  check_type(L, 1, LUA_TNUMBER);
  const auto duration = read_duration(L, 1);
  if (!duration) arg_error(L, 1, duration.error().message);
  push(L, format_duration(*duration));
  return 1;
}

}  // namespace

Module time_module() {
  return Module{.name = "time",
                .natives = {{"now", native<now>},
                            {"now_ms", native<now_ms>},
                            {"monotonic", native<monotonic>},
                            {"sleep", native<sleep>, true},
                            {"format", native<format>},
                            {"parse", native<parse>},
                            {"rfc3339", native<rfc3339>},
                            {"duration", native<duration_of>},
                            {"format_duration", native<duration_text>}},
                .stub = embedded::modules_time_meta};
}

}  // namespace sloth
