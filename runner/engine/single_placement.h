// SinglePlacement: every task goes to the same runner. What a run on this machine alone uses.
//
// Thread-safe.
#pragma once

#include "runner/task/task_runner.h"

namespace sloth {

class SinglePlacement final : public Placement {
 public:
  // `runner` outlives this.
  explicit SinglePlacement(TaskRunner& runner) : runner_(runner) {}

  TaskRunner& runner_for(const TaskSpec&) override { return runner_; }

 private:
  TaskRunner& runner_;
};

}  // namespace sloth
