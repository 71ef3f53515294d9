// DirectoryLock: one process at a time in a state directory.
//
// Not shared: one thread at a time. Held until destroyed or until the process is gone, however it goes
// (flock). The file stays; it holds the pid of the last holder, for people and for messages.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/os/descriptor.h"

namespace sloth {

class DirectoryLock {
 public:
  // Makes `directory` when missing (mode 0700) and locks its file `name`. kUnavailable when another has it:
  // its pid is named, and `who` it is ("master").
  static Result<DirectoryLock> take(const std::string& directory, const std::string& name,
                                    const std::string& who);

 private:
  explicit DirectoryLock(Descriptor file) : file_(std::move(file)) {}

  Descriptor file_;
};

}  // namespace sloth
