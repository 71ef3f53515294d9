// RunReport: how a run ended, task by task, and what the process should say about it to its caller.
//
// A value.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runner/base/clock.h"
#include "runner/task/outcome.h"

namespace sloth {

// What ended the run before its tasks did.
enum class RunStop {
  kNone,
  kInterrupted,  // the stop token: Ctrl-C
  kTimedOut,     // the run's own limit, not a task's
};

struct RunReport {
  std::vector<std::pair<std::string, Outcome>> outcomes;  // in the order of the plan, every wanted task
  RunStop stop = RunStop::kNone;
  Duration elapsed{};
  // Errors of operator-side functions (on_failure, finally, on_complete ...): they are told, but change no
  // outcome.
  std::vector<std::string> handler_errors;

  struct Counts {
    std::size_t succeeded = 0, failed = 0, skipped = 0, cancelled = 0;
  };
  // Timed out, aborted, unknown, refused and unreachable count as failed.
  [[nodiscard]] Counts counts() const;

  // 124 the run timed out; 130 interrupted; 3 an outcome is unknown; 1 a task failed; 4 an agent refused one;
  // 5 no agent was reached; 0 else. The first that applies.
  [[nodiscard]] int exit_code() const;
};

}  // namespace sloth
