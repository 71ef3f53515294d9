#include "runner/goroutine/natives.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "runner/goroutine/scheduler_impl.h"
#include "runner/lua/stack.h"

namespace sloth {

namespace embedded {
extern const std::string_view runner_goroutine_wait_group;
extern const std::string_view runner_goroutine_channel;
extern const std::string_view runner_goroutine_sync;
extern const std::string_view runner_goroutine_pool;
}  // namespace embedded

namespace {

using Impl = Scheduler::Impl;

const char kRuntime[] = "sloth.runtime";
const char kHandle[] = "sloth.goroutine";
const char kQueue[] = "sloth.queue";

// A queue as Lua holds it, with the name that reports give to waiting in it.
struct QueueBox {
  WaitQueue queue;
  char what[40];
};

Handle& check_handle(lua_State* L, int arg) {
  auto* handle = static_cast<Handle*>(lua_touserdata(L, arg));
  if (handle != nullptr && lua_getmetatable(L, arg) != 0) {
    luaL_getmetatable(L, kHandle);
    const bool same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    if (same) return *handle;
  }
  type_error(L, arg, "goroutine handle");
}

QueueBox& check_queue(lua_State* L, int arg) {
  return *static_cast<QueueBox*>(luaL_checkudata(L, arg, kQueue));
}

int spawn_kind(lua_State* L, Impl::Kind kind) {
  check_type(L, 1, LUA_TFUNCTION);
  Impl::of(L).spawn(L, lua_gettop(L) - 1, kind);
  return 1;
}

int spawn(lua_State* L) { return spawn_kind(L, Impl::Kind::kSpawn); }
int async(lua_State* L) { return spawn_kind(L, Impl::Kind::kAsync); }

// await(handle [, ms]) -> true, values... | false, error | timed out
int await(lua_State* L) {
  Impl& impl = Impl::of(L);
  Handle& handle = check_handle(L, 1);
  handle.observed = true;
  if (handle.state != Handle::State::kRunning) {
    lua_pushboolean(L, 1);
    return 1 + Impl::push_result(L, 1, handle, L);
  }
  if (handle.goroutine == impl.current) raise(L, "a goroutine cannot await itself (deadlock)");
  const bool limited = !lua_isnoneornil(L, 2);
  const Duration limit = limited ? check_milliseconds(L, 2) : Duration::zero();
  impl.before_wait(L);
  Goroutine& g = *impl.current;
  handle.waiters.push_back(g.waiter);
  if (limited) impl.start_timer(g, limit);
  return impl.suspend_now(L, Goroutine::State::kInQueue, "await");
}

// timeout(ms, fn, ...) -> true, values... | false, error
int timeout(lua_State* L) {
  Impl& impl = Impl::of(L);
  const Duration limit = check_milliseconds(L, 1);
  if (limit <= Duration::zero()) arg_error(L, 1, "more than 0 milliseconds expected");
  check_type(L, 2, LUA_TFUNCTION);
  impl.before_wait(L);
  Goroutine& g = *impl.current;
  Goroutine& body = *impl.spawn(L, lua_gettop(L) - 2, Impl::Kind::kLimited);
  body.limited_waits = &g;
  g.limited = &body;
  impl.start_timer(g, limit);
  return impl.suspend_now(L, Goroutine::State::kInLimit, "timeout");
}

int sleep(lua_State* L) {
  Impl& impl = Impl::of(L);
  const Duration delay = check_milliseconds(L, 1);
  impl.before_wait(L);
  Goroutine& g = *impl.current;
  if (delay > Duration::zero()) {
    impl.start_timer(g, delay);
    return impl.suspend_now(L, Goroutine::State::kSleeping, "sleep");
  }
  // No time at all: only the others' turn.
  impl.add_ready(g);
  return impl.suspend_now(L, Goroutine::State::kReady, "sleep");
}

int make_queue(lua_State* L) {
  const std::string_view what = check_string(L, 1);
  auto* box = ::new (lua_newuserdata(L, sizeof(QueueBox))) QueueBox();
  const std::size_t size = std::min(what.size(), sizeof(box->what) - 1);
  std::memcpy(box->what, what.data(), size);
  box->what[size] = '\0';
  luaL_getmetatable(L, kQueue);
  lua_setmetatable(L, -2);
  return 1;
}

void start_optional_timer(lua_State* L, Impl& impl, int arg) {
  if (!lua_isnoneornil(L, arg)) impl.start_timer(*impl.current, check_milliseconds(L, arg));
}

// park(queue [, ms]) -> what the waker passes | timed out
int park(lua_State* L) {
  Impl& impl = Impl::of(L);
  QueueBox& box = check_queue(L, 1);
  impl.before_wait(L);
  start_optional_timer(L, impl, 2);
  box.queue.push_back(impl.current->waiter);
  return impl.suspend_now(L, Goroutine::State::kInQueue, box.what);
}

// park_value(queue, value [, ms]): the same, with a value for take() to fetch
int park_value(lua_State* L) {
  Impl& impl = Impl::of(L);
  QueueBox& box = check_queue(L, 1);
  impl.before_wait(L);
  start_optional_timer(L, impl, 3);
  Waiter& waiter = impl.current->waiter;
  waiter.has_value = true;
  lua_settop(L, 2);
  const bool nested = L != impl.current->coroutine;
  if (nested) waiter.value_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  box.queue.push_back(waiter);
  return impl.suspend_now(L, Goroutine::State::kInQueue, box.what, nested ? 0 : 1);
}

// park_select(ms or nil, queue, sends, value, queue, sends, value, ...) -> case, what the waker passes |
// timed out
int park_select(lua_State* L) {
  Impl& impl = Impl::of(L);
  const int cases = (lua_gettop(L) - 1) / 3;
  impl.before_wait(L);
  Goroutine& g = *impl.current;
  start_optional_timer(L, impl, 1);
  g.select_waiters = std::make_unique<Waiter[]>(static_cast<std::size_t>(cases));
  g.select_size = cases;
  for (int i = 0; i < cases; ++i) {
    Waiter& waiter = g.select_waiters[static_cast<std::size_t>(i)];
    waiter.goroutine = &g;
    waiter.select_case = i + 1;
    if (lua_toboolean(L, 3 + 3 * i) != 0) {
      lua_pushvalue(L, 4 + 3 * i);
      waiter.has_value = true;
      waiter.value_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    check_queue(L, 2 + 3 * i).queue.push_back(waiter);
  }
  return impl.suspend_now(L, Goroutine::State::kInQueue, "select");
}

// wake(queue, ...) -> whether one waited
int wake(lua_State* L) {
  WaitQueue& queue = check_queue(L, 1).queue;
  lua_pushboolean(L, Impl::of(L).wake_first(queue, L, lua_gettop(L) - 1) ? 1 : 0);
  return 1;
}

int wake_all(lua_State* L) {
  Impl& impl = Impl::of(L);
  WaitQueue& queue = check_queue(L, 1).queue;
  const int count = lua_gettop(L) - 1;
  // Those that wait now: one that waits again while being woken has its own turn.
  for (std::uint32_t left = queue.size; left > 0; --left) {
    for (int i = 0; i < count; ++i) lua_pushvalue(L, 2 + i);
    impl.wake_first(queue, L, count);
    lua_settop(L, 1 + count);
  }
  return 0;
}

// take(queue) -> true, value | false
int take(lua_State* L) {
  const bool taken = Impl::of(L).take_value(check_queue(L, 1).queue, L);
  lua_pushboolean(L, taken ? 1 : 0);
  if (taken) lua_insert(L, -2);
  return taken ? 2 : 1;
}

int queue_size(lua_State* L) {
  lua_pushnumber(L, check_queue(L, 1).queue.size);
  return 1;
}

int cancel(lua_State* L) {
  Handle& handle = check_handle(L, 1);
  const std::string reason(opt_string(L, 2, "cancelled"));
  const bool running = handle.goroutine != nullptr && !handle.goroutine->cancelled;
  if (running) Impl::of(L).cancel_tree(*handle.goroutine, reason);
  lua_pushboolean(L, running ? 1 : 0);
  return 1;
}

int status(lua_State* L) {
  const Handle& handle = check_handle(L, 1);
  const char* text = "running";
  switch (handle.state) {
    case Handle::State::kSucceeded: text = "done"; break;
    case Handle::State::kFailed: text = "failed"; break;
    case Handle::State::kCancelled: text = "cancelled"; break;
    case Handle::State::kRunning:
      if (handle.goroutine == Impl::of(L).current) break;
      text = handle.goroutine->state == Goroutine::State::kNew ||
                     handle.goroutine->state == Goroutine::State::kReady
                 ? "ready"
                 : "waiting";
      break;
  }
  lua_pushstring(L, text);
  return 1;
}

int detach(lua_State* L) {
  check_handle(L, 1).detached = true;
  lua_settop(L, 1);
  return 1;
}

int name(lua_State* L) {
  Handle& handle = check_handle(L, 1);
  if (lua_gettop(L) > 1) {
    const std::string_view text = check_string(L, 2);
    if (handle.goroutine != nullptr) handle.goroutine->name = text;
    lua_settop(L, 1);
    return 1;
  }
  push(L, handle.goroutine != nullptr ? std::string_view(handle.goroutine->name) : std::string_view());
  return 1;
}

int is_handle(lua_State* L) {
  bool same = false;
  if (lua_isuserdata(L, 1) != 0 && lua_getmetatable(L, 1) != 0) {
    luaL_getmetatable(L, kHandle);
    same = lua_rawequal(L, -1, -2) != 0;
  }
  lua_pushboolean(L, same ? 1 : 0);
  return 1;
}

int root(lua_State* L) {
  lua_pushnumber(L, static_cast<double>(Impl::of(L).current->root->id));
  return 1;
}

// Is this the VM in which the task file itself runs?
int in_plan(lua_State* L) {
  lua_pushboolean(L, Vm::of(L).host().may_read_sources ? 1 : 0);
  return 1;
}

int cancelled(lua_State* L) {
  lua_pushboolean(L, Impl::of(L).current->cancelled ? 1 : 0);
  return 1;
}

int now(lua_State* L) {
  const auto since = Impl::of(L).options.clock->now().time_since_epoch();
  lua_pushnumber(L, static_cast<double>(since.count()) / 1e6);
  return 1;
}

int where_now(lua_State* L) {
  push(L, where(L));
  return 1;
}

int log(lua_State* L) {
  static constexpr const char* kNames[] = {"debug", "info", "success", "warn", "error", nullptr};
  const auto severity = static_cast<Severity>(luaL_checkoption(L, 1, nullptr, kNames));
  Scheduler::of(L).log(severity, std::string(check_string(L, 2)));
  return 0;
}

// failure(error) -> message, traceback: for the handler of an xpcall
int failure(lua_State* L) {
  lua_settop(L, 1);
  const Vm::Failure found = Vm::of(L).failure_from(L, L);
  push(L, found.message);
  push(L, found.traceback);
  return 2;
}

int stats(lua_State* L) {
  const Scheduler::Stats stats = Scheduler::of(L).stats();
  lua_createtable(L, 0, 6);
  const auto set = [L](const char* key, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, key);
  };
  set("spawned", static_cast<double>(stats.spawned));
  set("finished", static_cast<double>(stats.finished));
  set("failed", static_cast<double>(stats.failed));
  set("switches", static_cast<double>(stats.switches));
  set("live", static_cast<double>(stats.live));
  set("ready", static_cast<double>(stats.ready));
  set("waiting", static_cast<double>(stats.waiting));
  return 1;
}

int at_root_end(lua_State* L) {
  check_type(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  Impl::of(L).on_root_end = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

char timed_out_mark;

// Pushes the table, new, and keeps it.
void make_runtime(lua_State* L) {
  static const std::vector<Native> kNatives = {
      {"spawn", native<spawn>},
      {"async", native<async>},
      {"await", native<await>, true},
      {"timeout", native<timeout>, true},
      {"sleep", native<sleep>, true},
      {"queue", native<make_queue>},
      {"park", native<park>, true},
      {"park_value", native<park_value>, true},
      {"park_select", native<park_select>, true},
      {"wake", native<wake>},
      {"wake_all", native<wake_all>},
      {"take", native<take>},
      {"queue_size", native<queue_size>},
      {"cancel", native<cancel>},
      {"status", native<status>},
      {"detach", native<detach>},
      {"name", native<name>},
      {"is_handle", native<is_handle>},
      {"root", native<root>},
      {"in_plan", native<in_plan>},
      {"cancelled", native<cancelled>},
      {"now", native<now>},
      {"where", native<where_now>},
      {"log", native<log>},
      {"failure", native<failure>},
      {"stats", native<stats>},
      {"at_root_end", native<at_root_end>},
  };
  luaL_newmetatable(L, kQueue);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  Vm::push_natives(L, kNatives, nullptr);
  push_timed_out(L);
  lua_setfield(L, -2, "TIMED_OUT");
  luaL_newmetatable(L, kHandle);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushliteral(L, "goroutine");
  lua_setfield(L, -2, "__brand");
  lua_setfield(L, -2, "handle_methods");
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, kRuntime);
  const std::pair<const char*, std::string_view> files[] = {
      {"wait_group", embedded::runner_goroutine_wait_group},
      {"channel", embedded::runner_goroutine_channel},
      {"sync", embedded::runner_goroutine_sync},
      {"pool", embedded::runner_goroutine_pool},
  };
  for (const auto& [file, text] : files) {
    lua_pushvalue(L, -1);
    Vm::of(L).run_embedded(L, file, text, 1, 0);
  }
}

}  // namespace

Handle* push_handle(lua_State* L) {
  auto* handle = ::new (lua_newuserdata(L, sizeof(Handle))) Handle();
  luaL_getmetatable(L, kHandle);
  lua_setmetatable(L, -2);
  return handle;
}

void push_timed_out(lua_State* L) { lua_pushlightuserdata(L, &timed_out_mark); }

void push_runtime(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, kRuntime);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  make_runtime(L);
}

}  // namespace sloth
