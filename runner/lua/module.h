// Module: a set of Lua-visible functions as data, installed into a VM as a global and for require().
//
// Immutable after start-up: thread-safe. Every native goes through native<>, the border between C++
// exceptions and Lua errors.
//
//   int file_size(lua_State* L) { lua_pushinteger(L, size_of(check_string(L, 1))); return 1; }
//   Module m{.name = "files", .natives = {{"size", native<file_size>}}};
#pragma once

#include <exception>
#include <lua.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sloth {

struct Native {
  const char* name;
  lua_CFunction function;
  // The function may suspend its goroutine (Scheduler::suspend): Lua sees it wrapped, so that what it is
  // resumed with, (true, values...) or (false, error), becomes values or a raised error.
  bool waits = false;
};

struct Module {
  std::string name;
  std::vector<Native> natives;
  // A chunk that gets the table of natives as its argument and returns the module's table. Empty: the
  // natives are the module.
  std::string_view lua = {};
  // Upvalue 1 of every native: a service that outlives every VM. See context_of().
  void* context = nullptr;
  // Changes what other code sees (print, io, os), so it is installed at once. Others come when
  // they are first named.
  bool eager = false;
  // The Lua language server's description, also the text of `sloth modules NAME`.
  std::string_view stub = {};
};

// The module's context inside one of its natives.
template <class T>
T& context_of(lua_State* L) {
  return *static_cast<T*>(lua_touserdata(L, lua_upvalueindex(1)));
}

// The border: std::exception becomes a Lua error with its text. Lua's own errors, which travel as foreign
// exceptions, pass through untouched and run destructors on their way. Raised outside the try block, since
// a Lua error must not start inside a handler.
template <int (*F)(lua_State*)>
int native(lua_State* L) {
  try {
    return F(L);
  } catch (const std::exception& error) {
    lua_pushstring(L, error.what());
  }
  return lua_error(L);
}

}  // namespace sloth
