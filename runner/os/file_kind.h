// What a path leads to, when that is no regular file: directory, FIFO, device ...
//
// Thread-safe: pure functions.
#pragma once

#include <sys/stat.h>

#include <string_view>

#include "runner/base/result.h"

namespace sloth {

// "a directory", "a FIFO", "a device" ... of st_mode.
const char* kind_of(mode_t mode);

// kRefused: `cannot read "x": it is a FIFO, not a regular file`.
Error wrong_kind(std::string_view action, std::string_view path, mode_t mode);

}  // namespace sloth
