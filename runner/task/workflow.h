// Workflow: a loaded task file as plain data.
//
// A value. Not shared: one thread at a time (const access is fine).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/task/task.h"

namespace sloth {

// One workflow.define (or workflow({...})) of the file.
struct WorkflowGroup {
  std::string name;
  std::string description;
  std::string version;
  Place place;
  std::vector<std::string> tasks;  // names, in order
  std::optional<int> max_parallel_tasks;
  std::optional<Duration> timeout;
  std::optional<PlanFunction> on_start;
  std::optional<PlanFunction> on_complete;
};

struct Workflow {
  std::string file;       // path as the user gave it
  std::string directory;  // absolute directory of the file
  std::vector<TaskSpec> tasks;          // unique names, in the order of the file
  std::vector<WorkflowGroup> groups;    // in the order of the file; empty: a tasks-only file
  std::vector<std::string> warnings;    // each with file:line

  // Null when there is none. Looks at every task: make an index for many look-ups.
  [[nodiscard]] const TaskSpec* find(std::string_view name) const;
};

}  // namespace sloth
