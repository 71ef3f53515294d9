// OperatorSide: runs the functions of a task file that stay where the operator is: run_if, abort_if,
// on_success, on_failure, on_timeout, finally, on_start, on_complete.
//
// Thread-safe. PlanVm is the real one; the engine's tests have one without Lua.
#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/base/value.h"
#include "runner/task/task.h"

namespace sloth {

// What a task function sees as `this`.
struct TaskIdentity {
  std::string name;
  std::string agent;  // "" here
  int attempt = 1;
  std::string run;
  std::string workdir;         // absolute
  bool fresh_workdir = false;  // made for this attempt, nobody else's
};

struct OperatorCall {
  std::string what;  // `run_if of task "build"`: starts every message about it
  PlanAction action;
  std::optional<TaskIdentity> self;  // the first argument, `this`, when present; else the arguments alone
  Value::List arguments;
  std::map<std::string, std::string> env;  // of the task: for shell commands
};

// What such a function said.
struct OperatorAnswer {
  std::optional<bool> yes;  // empty: it returned nothing, or nil. Any value but false counts as yes
  std::string message;      // its second value when that is a string
};

class OperatorSide {
 public:
  virtual ~OperatorSide() = default;
  // `done` is called exactly once, from any thread: the answer; for a shell command whether it exited with 0;
  // or the error it raised, which names the place. A stop request cancels. Takes at most kOperatorLimit.
  virtual void call(OperatorCall call, std::stop_token stop,
                    UniqueFunction<void(Result<OperatorAnswer>)> done) = 0;
};

inline constexpr Duration kOperatorLimit = std::chrono::seconds(60);

}  // namespace sloth
