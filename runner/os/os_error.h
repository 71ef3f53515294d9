// errno as an Error: the kind of failure and the reason in words.
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "runner/base/result.h"

namespace sloth {

// "no such file or directory", "permission denied" ...: lower case, to stand after a colon.
std::string reason_of(int error);

// kNotFound, kRefused (permission, read-only), kLimit (space, descriptors, memory) or kIo.
Code code_of(int error);

// `cannot read "a/b": no such file or directory`, for action "read" and path "a/b".
Error path_error(std::string_view action, std::string_view path, int error);

// kInvalid when `path` is empty or holds a NUL byte, which the system would read as its end.
Result<void> check_path(std::string_view action, std::string_view path);

}  // namespace sloth
