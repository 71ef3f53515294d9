// The scheduler's face towards Lua: the natives under runtime.lua, on which the goroutine module is built.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>

#include "runner/goroutine/goroutine.h"
#include "runner/lua/vm.h"

namespace sloth {

// Pushes the runtime table (natives and what the Lua files of this room add), made on first use:
// modules/goroutine.lua gives it its public names.
void push_runtime(lua_State* L);

// Pushes a new handle as userdata.
Handle* push_handle(lua_State* L);

// Pushes the value that a wait returns when its time passed.
void push_timed_out(lua_State* L);

}  // namespace sloth
