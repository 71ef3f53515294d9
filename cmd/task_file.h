// The task file: found, and read with what makes a wrong one cheap.
//
// Thread-safe: pure functions over the file system. They block; fine at start-up.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/engine/plan_vm.h"

namespace sloth {

// tasks.lua, tasks.sloth or sloth.lua in `directory` or the nearest one above; "" when there is none.
std::string find_task_file(const std::string& directory);

// Whether a word of the command line can only be a file: it ends in .lua or .sloth, or holds a slash.
bool looks_like_file(const std::string& word);

// The file, at most 8 MiB. Anything but a regular file is refused by kind without being opened for long: a
// FIFO does not block.
Result<PlanVm::File> read_task_file(const std::string& path);

}  // namespace sloth
