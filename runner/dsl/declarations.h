// Declarations: which tasks and workflows a file declares, in which order, which task is in which workflow.
// Names are settled here; what was said about each is check_task's and check_workflow's to read.
//
// A value. Not shared: one thread at a time.
#pragma once

#include <string>
#include <vector>

#include "runner/dsl/problems.h"
#include "runner/dsl/recording.h"
#include "runner/dsl/source_text.h"

namespace sloth {

struct Declarations {
  // Record number n at index n - 1. A table form's places point at its keys as far as the text tells.
  std::vector<Record> records;
  std::vector<int> tasks;                 // numbers, in the order of the file
  std::vector<int> workflows;             // numbers, in the order of the file
  std::vector<std::vector<int>> members;  // beside records: a workflow's tasks in order
  std::vector<int> workflow_of;           // beside records: the workflow that a task is in, 0 none
  std::vector<std::string> warnings;

  [[nodiscard]] const Record& record(int number) const {
    return records[static_cast<std::size_t>(number) - 1];
  }
};

// Adds to `problems`: missing, bad and double names, tasks that are never built, elements of `tasks` that are
// no tasks. The order of a keyed table is that of the lines where its keys stand, then that of the names.
Declarations settle(std::vector<Record> records, const Sources& sources, Problems& problems);

// `task "build"`, or `a task` when it has no usable name: how messages begin.
std::string subject(const Record& record);

}  // namespace sloth
