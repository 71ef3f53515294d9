// Glob patterns over paths.
//
// Thread-safe: free functions. Per name: * any run of characters, ? one character (of UTF-8), [abc],
// [a-z], [!a-z] one byte, \ takes the next character literally. A name ** is any number of directories,
// at the end everything below; it does not go through links. As in a shell, a name that starts with a
// dot is matched only by a pattern that starts with a dot, so ** leaves .git alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"

namespace sloth {

// Whether one name (no slash) matches one name's pattern. In linear space and at most quadratic time.
bool name_matches(std::string_view pattern, std::string_view name);

// Paths that match a glob with *, ?, [..] and ** (any depth), sorted. Relative patterns start at `base`
// and give paths relative to it. Files and directories alike. kInvalid: a [ without its ]. kNotFound:
// `base` is no directory. Directories that we may not read are taken as empty.
Result<std::vector<std::string>> glob(const std::string& pattern, const std::string& base);

}  // namespace sloth
