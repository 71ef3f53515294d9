// The Lua module `strings`: what scripts miss in Lua's own string library. Lua only (strings.lua), so that
// the JIT compiles it into the loops that call it.
//
// Immutable after start-up: thread-safe.
#pragma once

#include "runner/lua/module.h"

namespace sloth {

Module strings_module();

}  // namespace sloth
