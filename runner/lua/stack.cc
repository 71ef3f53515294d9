#include "runner/lua/stack.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runner/base/nearest.h"

namespace sloth {
namespace {

// The option's value on top of the stack, or nothing; checks that the holder is a table.
bool get_field(lua_State* L, int table, const char* name) {
  if (lua_isnoneornil(L, table)) return false;
  check_type(L, table, LUA_TTABLE);
  lua_getfield(L, table, name);
  if (!lua_isnil(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

void require_type(lua_State* L, int type, const char* name) {
  if (lua_type(L, -1) == type) return;
  raise(L, fmt::format("bad option \"{}\" ({} expected, got {})", name, lua_typename(L, type),
                       luaL_typename(L, -1)));
}

}  // namespace

void arg_error(lua_State* L, int arg, const std::string& what) {
  // The outermost of our own frames is what the user called.
  std::string name = "?";
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame) != 0; ++level) {
    lua_getinfo(L, "nS", &frame);
    const bool ours = level == 0 || std::string_view(frame.source).starts_with("=[sloth]");
    if (!ours) break;
    if (frame.name != nullptr) name = frame.name;
    if (frame.namewhat != nullptr && std::string_view(frame.namewhat) == "method" && arg > 1) {
      raise(L, fmt::format("bad argument #{} to '{}' ({})", arg - 1, name, what));
    }
  }
  raise(L, fmt::format("bad argument #{} to '{}' ({})", arg, name, what));
}

void type_error(lua_State* L, int arg, const char* expected) {
  const char* got = lua_isnone(L, arg) ? "no value" : luaL_typename(L, arg);
  arg_error(L, arg, fmt::format("{} expected, got {}", expected, got));
}

void check_type(lua_State* L, int arg, int type) {
  if (lua_type(L, arg) != type) type_error(L, arg, lua_typename(L, type));
}

std::string_view check_string(lua_State* L, int arg) {
  check_type(L, arg, LUA_TSTRING);
  std::size_t size = 0;
  const char* text = lua_tolstring(L, arg, &size);
  return {text, size};
}

std::string_view opt_string(lua_State* L, int arg, std::string_view fallback) {
  return lua_isnoneornil(L, arg) ? fallback : check_string(L, arg);
}

long long check_integer(lua_State* L, int arg, long long low, long long high) {
  check_type(L, arg, LUA_TNUMBER);
  const double number = lua_tonumber(L, arg);
  if (!(std::nearbyint(number) == number && number >= static_cast<double>(low) &&
        number <= static_cast<double>(high))) {
    arg_error(L, arg, fmt::format("whole number from {} to {} expected, got {}", low, high, number));
  }
  return static_cast<long long>(number);
}

Duration check_milliseconds(lua_State* L, int arg) {
  constexpr double kLongest = 30.0 * 24 * 3600 * 1000;
  check_type(L, arg, LUA_TNUMBER);
  const double ms = lua_tonumber(L, arg);
  if (!(ms >= 0 && ms <= kLongest)) {
    arg_error(L, arg, fmt::format("milliseconds from 0 to 30 days expected, got {}", ms));
  }
  return Duration(static_cast<Duration::rep>(ms * 1e6));
}

std::optional<std::string> string_field(lua_State* L, int table, const char* name) {
  if (!get_field(L, table, name)) return std::nullopt;
  require_type(L, LUA_TSTRING, name);
  std::size_t size = 0;
  const char* text = lua_tolstring(L, -1, &size);
  std::string result(text, size);
  lua_pop(L, 1);
  return result;
}

std::optional<double> number_field(lua_State* L, int table, const char* name) {
  if (!get_field(L, table, name)) return std::nullopt;
  require_type(L, LUA_TNUMBER, name);
  const double result = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return result;
}

std::optional<bool> boolean_field(lua_State* L, int table, const char* name) {
  if (!get_field(L, table, name)) return std::nullopt;
  require_type(L, LUA_TBOOLEAN, name);
  const bool result = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return result;
}

void check_options(lua_State* L, int table, std::initializer_list<const char*> known) {
  if (lua_isnoneornil(L, table)) return;
  check_type(L, table, LUA_TTABLE);
  const std::vector<std::string> names(known.begin(), known.end());
  const int options = table < 0 ? lua_gettop(L) + 1 + table : table;
  for (lua_pushnil(L); lua_next(L, options) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      raise(L, fmt::format("options have names; found a {} as a key", luaL_typename(L, -2)));
    }
    const std::string key = lua_tostring(L, -2);
    if (std::find(names.begin(), names.end(), key) != names.end()) continue;
    raise(L, fmt::format("unknown option \"{}\"{}", key, did_you_mean(key, names)));
  }
}

void push(lua_State* L, std::string_view text) { lua_pushlstring(L, text.data(), text.size()); }

std::string where(lua_State* L) {
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame) != 0; ++level) {
    lua_getinfo(L, "Sl", &frame);
    // Our own chunks are named "=[sloth]...", C functions have no line.
    if (frame.currentline > 0 && frame.source[0] == '@') {
      return fmt::format("{}:{}", frame.source + 1, frame.currentline);
    }
  }
  return "";
}

void raise(lua_State* L, const std::string& message) {
  const std::string place = where(L);
  push(L, place.empty() ? message : place + ": " + message);
  lua_error(L);
  __builtin_unreachable();
}

int fail(lua_State* L, std::string_view message) {
  lua_pushnil(L);
  push(L, message);
  return 2;
}

}  // namespace sloth
