// Commands as users write them: which need a shell, and which can be started as they stand.
//
// Thread-safe: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sloth {

// The words of a command that a shell would only split at blanks and then run, such as "git status -s";
// nothing when the shell has more to do (quotes, pipes, variables, assignments) or does it by itself
// (built-in words such as cd, echo, exit).
std::optional<std::vector<std::string>> simple_command(std::string_view text);

}  // namespace sloth
