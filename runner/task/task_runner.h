// TaskRunner: starts attempts, here or elsewhere. The port between the engine and what runs a task.
//
// Thread-safe. start() returns at once; `done` is called exactly once, from any thread, after the attempt
// and everything it started has ended.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "runner/base/unique_function.h"
#include "runner/task/event.h"
#include "runner/task/task.h"

namespace sloth {

struct TaskRequest {
  std::shared_ptr<const TaskSpec> spec;
  std::string run;         // run id
  int attempt = 1;
  std::string workdir;     // absolute
  Value::Map params;       // the task's, with -p over them, plus task_name and workdir
  Value::Map deps;         // outputs of dependencies by task name
  Value values;            // -v, --set
  std::string agent;           // where it runs; "" here
  bool fresh_workdir = false;  // made for this attempt: its content may be removed
};

class TaskRunner {
 public:
  virtual ~TaskRunner() = default;
  // `sink` outlives the attempt. A stop request cancels: cleanup runs, then `done` with kCancelled.
  virtual void start(TaskRequest request, EventSink& sink, std::stop_token stop,
                     UniqueFunction<void(Outcome)> done) = 0;
};

// Chooses the runner of a task: agents by name, or this machine.
class Placement {
 public:
  virtual ~Placement() = default;
  // Never null for a task that passed the plan's checks.
  virtual TaskRunner& runner_for(const TaskSpec& spec) = 0;
};

}  // namespace sloth
