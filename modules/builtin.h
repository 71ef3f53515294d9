// The modules of this build, in the order in which they are installed, and what they need to live.
//
// Builtins is made once per process and outlives every VM. Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "runner/exec/executor.h"
#include "runner/lua/module.h"

namespace sloth {

class Builtins {
 public:
  explicit Builtins(Executor& executor);
  // Ends transfers under way.
  ~Builtins();
  Builtins(const Builtins&) = delete;
  Builtins& operator=(const Builtins&) = delete;

  // For every VM, the plan's and the attempts'.
  [[nodiscard]] const std::vector<Module>& modules() const { return modules_; }

 private:
  struct Services;
  std::unique_ptr<Services> services_;
  std::vector<Module> modules_;
};

}  // namespace sloth
