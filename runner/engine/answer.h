// What a task's functions returned, read from the stack as the task language defines it.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>

#include "runner/engine/operator_side.h"
#include "runner/task/outcome.h"

namespace sloth {

// The `results` values on top of the stack as a command's answer:
//   nothing, nil alone, true     success
//   true, message, outputs       success; outputs: a table of plain data, at most 1 MiB, 100 levels deep
//   false | nil, message         failure
// Anything else is a failure that says so; outputs that cannot be sent name the path: `outputs.a.b[3]`.
Outcome command_answer(lua_State* L, int results);

// The same for pre_hook and post_hook: false (or nil with a message) is a failure, all else success.
Outcome hook_answer(lua_State* L, int results);

// For run_if and its kin.
OperatorAnswer operator_answer(lua_State* L, int results);

}  // namespace sloth
