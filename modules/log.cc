#include "modules/log.h"

#include <fmt/format.h>

#include "runner/lua/host.h"
#include "runner/lua/stack.h"
#include "runner/lua/value_codec.h"
#include "runner/lua/vm.h"

namespace sloth {
namespace embedded {
extern const std::string_view modules_log_meta;
}
namespace {

// What tostring() gives for argument 1, replaced in its place so that the view stays valid.
std::string_view message_text(lua_State* L) {
  luaL_checkany(L, 1);
  if (lua_type(L, 1) != LUA_TSTRING) {
    if (luaL_callmeta(L, 1, "__tostring") != 0) {
      if (lua_isstring(L, -1) == 0) raise(L, "'tostring' must return a string");
    } else if (lua_isnil(L, 1)) {
      lua_pushliteral(L, "nil");
    } else if (lua_isboolean(L, 1)) {
      lua_pushstring(L, lua_toboolean(L, 1) != 0 ? "true" : "false");
    } else if (lua_isnumber(L, 1) != 0) {
      lua_pushvalue(L, 1);
    } else {
      push(L, fmt::format("{}: {}", luaL_typename(L, 1), lua_topointer(L, 1)));
    }
    lua_replace(L, 1);
  }
  std::size_t size = 0;
  const char* text = lua_tolstring(L, 1, &size);
  return {text, size};
}

Value::Map fields_of(lua_State* L) {
  if (lua_isnoneornil(L, 2)) return {};
  check_type(L, 2, LUA_TTABLE);
  auto fields = to_value(L, 2, "fields");
  if (!fields) arg_error(L, 2, fields.error().message);
  if (fields->is_map()) return std::move(fields->as_map());
  Value::Map numbered;
  double position = 0;
  for (Value& item : fields->as_list()) numbered.emplace(++position, std::move(item));
  return numbered;
}

template <Severity kSeverity>
int log_line_at(lua_State* L) {
  const std::string_view message = message_text(L);
  const Value fields(fields_of(L));
  Vm::of(L).host().log(kSeverity, message, fields);
  return 0;
}

}  // namespace

Module log_module() {
  return Module{.name = "log",
                .natives = {{"debug", native<log_line_at<Severity::kDebug>>},
                            {"info", native<log_line_at<Severity::kInfo>>},
                            {"success", native<log_line_at<Severity::kSuccess>>},
                            {"warn", native<log_line_at<Severity::kWarn>>},
                            {"warning", native<log_line_at<Severity::kWarn>>},
                            {"error", native<log_line_at<Severity::kError>>}},
                .stub = embedded::modules_log_meta};
}

}  // namespace sloth
