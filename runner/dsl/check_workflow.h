// check_workflow: one declared workflow as a WorkflowGroup, with everything that is wrong with it and what it
// says for its tasks.
//
// Strand-confined: call only on its strand.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/dsl/check_task.h"
#include "runner/task/workflow.h"

namespace sloth {

struct CheckedWorkflow {
  WorkflowGroup group;
  // For tasks of the group that do not say it themselves.
  std::optional<int> extra_attempts;
  std::optional<RetryPolicy> strategy;  // its extra_attempts mean nothing
  std::vector<std::string> delegate_to;
  std::string workdir;
};

CheckedWorkflow check_workflow(const CheckContext& context, const Record& record);

// Gives a task of the group what it does not say itself. REQUIRES: `task` is one of the group.
void apply_defaults(const CheckedWorkflow& workflow, CheckedTask& task);

}  // namespace sloth
