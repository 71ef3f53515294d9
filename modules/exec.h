// exec: commands as a task runs them; the waiting goroutine parks, no thread waits with it.
//
// Immutable: thread-safe. See exec.meta.lua for what each call means.
#pragma once

#include "runner/lua/module.h"

namespace sloth {

Module exec_module();

}  // namespace sloth
