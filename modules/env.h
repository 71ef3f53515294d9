// env: the variables that this task's code and its commands see. Read only: the task's own env sets them.
//
// Immutable: thread-safe. See env.meta.lua for what each call means.
#pragma once

#include "runner/lua/module.h"

namespace sloth {

Module env_module();

}  // namespace sloth
