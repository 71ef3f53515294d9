// Reading arguments and pushing results. Wrong use raises with the argument's position.
//
// Strand-confined: call only on its strand. Only inside natives (they may raise).
#pragma once

#include <lua.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "runner/base/clock.h"
#include "runner/base/value.h"

namespace sloth {

// Raises `bad argument #1 to 'sleep' (number expected, got nil)` with the user's position and the name that
// the user called, also when our own Lua stands between. Use these instead of luaL_argerror and
// luaL_checktype. Never return.
[[noreturn]] void arg_error(lua_State* L, int arg, const std::string& what);
[[noreturn]] void type_error(lua_State* L, int arg, const char* expected);
// Returns when the argument has the type (LUA_TFUNCTION ...).
void check_type(lua_State* L, int arg, int type);

// The bytes of a string argument (numbers are not converted), valid while it stays on the stack.
std::string_view check_string(lua_State* L, int arg);
// nil or absent: `fallback`.
std::string_view opt_string(lua_State* L, int arg, std::string_view fallback);
// A number that is integral and within [low, high]; the message names the range.
long long check_integer(lua_State* L, int arg, long long low, long long high);
// Milliseconds as a duration: fractions allowed, negative, NaN and above 30 days raise.
Duration check_milliseconds(lua_State* L, int arg);

// Fields of an options table (nil or absent table: all empty). Raises when the argument is no table, or a
// field has the wrong type: `bad option "timeout" (number expected, got string)`.
std::optional<std::string> string_field(lua_State* L, int table, const char* name);
std::optional<double> number_field(lua_State* L, int table, const char* name);
std::optional<bool> boolean_field(lua_State* L, int table, const char* name);
// Raises on a key that is not in the list: `unknown option "tiemout"; did you mean "timeout"?`.
void check_options(lua_State* L, int table, std::initializer_list<const char*> known);

void push(lua_State* L, std::string_view text);

// "tasks.lua:12" of the innermost Lua function that a user wrote (our own Lua is skipped); "" if none.
std::string where(lua_State* L);

// Raises with the user's position in front, as error() does. Never returns.
[[noreturn]] void raise(lua_State* L, const std::string& message);

// nil, message: how a failure of the world is returned. For `return fail(L, text);`.
int fail(lua_State* L, std::string_view message);

}  // namespace sloth
