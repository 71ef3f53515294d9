// Outcome: how a task, or one attempt of it, ended.
//
// A value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/value.h"

namespace sloth {

enum class OutcomeKind {
  kSucceeded,
  kFailed,
  kTimedOut,
  kCancelled,  // Ctrl-C, fail-fast, the run's own timeout
  kSkipped,    // run_if said no, or a dependency did not succeed
  kAborted,    // abort_if said yes: fails the run
  kUnknown,      // it was started on an agent, and how it ended is not known
  kRefused,      // the agent said no: nothing was started
  kUnreachable,  // the agent could not be reached in time: nothing was started
};

// "succeeded", "failed", "timed_out", "cancelled", "skipped", "aborted", "unknown", "refused", "unreachable".
const char* outcome_name(OutcomeKind kind);

// The part of one agent in the outcome of a task that ran on several.
struct TargetOutcome {
  std::string agent;
  OutcomeKind kind = OutcomeKind::kSucceeded;
  std::string message;
  Duration elapsed{};
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kSucceeded;
  std::string message;      // the task's own message, or the reason, one or more lines
  std::string traceback;    // Lua traceback, "" when none
  std::string place;        // "tasks.lua:12" of the error, "" when unknown
  Value outputs = Value::Map{};
  bool changed = true;      // false: outputs.changed == false
  int attempts = 0;         // how many were started
  Duration elapsed{};       // first start to end
  std::vector<std::string> warnings;
  // The task's code is still inside a call that nothing can interrupt. It says nothing more, but it holds a thread: the
  // process must be left with _exit.
  bool stuck = false;
  std::string agent;                   // that ran it; "" here, and of a task that ran on several
  std::vector<TargetOutcome> targets;  // of a task that ran on several agents

  [[nodiscard]] bool succeeded() const { return kind == OutcomeKind::kSucceeded; }
  // Does it make the run fail?
  [[nodiscard]] bool fails_run() const {
    return kind != OutcomeKind::kSucceeded && kind != OutcomeKind::kSkipped;
  }
};

}  // namespace sloth
