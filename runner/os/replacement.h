// Replacement: a new file beside an old one that takes its place in one step.
//
//   auto file = Replacement::open("write", path);
//   ... write to (*file)->descriptor() ...
//   return (*file)->commit();
//
// Not shared: one thread at a time. Without commit() the old file stays and the new one is removed.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "runner/base/result.h"
#include "runner/os/descriptor.h"

namespace sloth {

class Replacement {
 public:
  // The file at `path`, through links, need not exist; what exists must be a regular file. `action`
  // is the verb of error messages.
  static Result<std::unique_ptr<Replacement>> open(std::string action, const std::string& path);
  ~Replacement();
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  [[nodiscard]] int descriptor() const { return file_.get(); }
  // Instead of the old file's mode, or what the umask leaves of 0666.
  Result<void> set_mode(mode_t mode);
  // fsync and rename.
  Result<void> commit();

 private:
  Replacement(std::string action, std::string shown, std::string target);
  Result<void> create();

  const std::string action_;
  const std::string shown_;   // the path as the caller gave it
  const std::string target_;  // links resolved
  std::string temporary_;     // empty once it is renamed
  Descriptor file_;
};

}  // namespace sloth
