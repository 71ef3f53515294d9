// standard: print, io and os as code in a task sees them. Output goes to the task, files are found from its
// working directory, commands run through exec and park, os.exit ends only the task.
//
// Immutable: thread-safe. Installed under the name "io", whose table it completes; print and os change in
// place. See standard.meta.lua for what each call means.
#pragma once

#include "runner/lua/module.h"

namespace sloth {

// os.exit(n) raises a table with the field `sloth_exit` = n and a __tostring; whoever runs a task's code
// takes it for the task's end: success for 0.
inline constexpr const char* kExitField = "sloth_exit";

Module standard_module();

}  // namespace sloth
