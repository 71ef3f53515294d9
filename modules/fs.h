// fs: files and directories. Every call works on the blocking lane; only the calling goroutine waits.
//
// Immutable: thread-safe. See fs.meta.lua for what each call means.
#pragma once

#include "runner/lua/module.h"

namespace sloth {

Module fs_module();

}  // namespace sloth
