// The Lua module `log`: lines with a severity and optional fields, handed to the VM's Host.
//
// Immutable after start-up: thread-safe. The natives are strand-confined and never wait.
#pragma once

#include "runner/lua/module.h"

namespace sloth {

Module log_module();

}  // namespace sloth
