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

// Pushes (making it if need be) the registry table {name -> function} of modules that travelled with a portable
// function; require and import in an attempt look here.
void push_travelled_modules(lua_State* L);

}  // namespace sloth
