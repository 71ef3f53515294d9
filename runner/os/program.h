// Which file a command names, and why the system would not run it.
//
// Thread-safe: free functions. Block for a few look-ups in the file system.
#pragma once

#include <string>
#include <string_view>

#include "runner/base/result.h"

namespace sloth {

// Where commands are looked for when the child has no PATH.
inline constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

// The path of the file that `command` runs. With a slash: that file, a relative one from `directory`
// (empty: ours). Without: the first executable file of that name in the directories of `path`; an
// empty entry is `directory`, as in a shell, but an empty `path` names no directory at all.
// kNotFound or kRefused (a directory, not executable).
Result<std::string> find_program(const std::string& command, std::string_view path,
                                 const std::string& directory);

// What execve's `error` means for this file: a missing interpreter or loader, another machine's
// format ... Never kNotFound, for the file is there.
Error explain_exec_failure(const std::string& program, int error);

// True when the file is text that a shell would run though it has no #! line.
bool is_plain_script(const std::string& program);

}  // namespace sloth
