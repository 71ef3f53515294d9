// The natives under prelude.lua: compiling text, and finding the files that require and import name.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>

namespace sloth {

// Pushes the table of natives. The state belongs to a Vm.
void push_prelude_natives(lua_State* L);

// What a coroutine yields when its goroutine waits: one address that no script can make.
void* park_mark();

// Pushes the table that scripts see as package.loaded. It is not the VM's own: LuaJIT puts its native
// interface there when it meets a literal like 1LL.
void push_loaded(lua_State* L);
// Pops that table, made by the prelude.
void keep_loaded(lua_State* L);

// Pushes (making it if need be) the registry table {name -> function} of modules that travelled with a
// portable function; require and import in an attempt look here.
void push_travelled_modules(lua_State* L);

}  // namespace sloth
