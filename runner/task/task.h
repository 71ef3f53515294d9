// TaskSpec: everything a task file says about one task, as plain data.
//
// A value: copy, compare by hand. Not shared: one thread at a time (const access is fine).
// Attempt functions (command, pre_hook, post_hook) travel as portable functions; operator-side functions
// (run_if ... finally) stay in the plan VM and are named here by number.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/portable_function.h"
#include "runner/base/value.h"

namespace sloth {

// Where in a file something was written: "tasks.lua", 12.
struct Place {
  std::string file;
  int line = 0;
  // "tasks.lua:12"
  [[nodiscard]] std::string text() const { return file + ":" + std::to_string(line); }
  bool operator==(const Place&) const = default;
};

// A shell command: run by `sh -c` with its output streamed.
struct ShellCommand {
  std::string text;
};

// A function kept in the plan VM, where the operator is. The number is meaningful to runner/dsl only.
struct PlanFunction {
  std::uint32_t id = 0;
};

// What an attempt runs.
using AttemptAction = std::variant<ShellCommand, PortableFunction>;
// What the operator's side runs.
using PlanAction = std::variant<ShellCommand, PlanFunction>;

struct RetryPolicy {
  enum class Strategy { kFixed, kLinear, kExponential };
  int extra_attempts = 0;
  Strategy strategy = Strategy::kExponential;
  Duration delay = std::chrono::seconds(1);       // before the second attempt
  Duration max_delay = std::chrono::seconds(60);
  bool jitter = true;                             // each delay times a random factor in [0.5, 1)
};

struct TaskSpec {
  std::string name;
  std::string description;
  std::string workflow;  // "" when the task belongs to none
  Place place;           // where it was declared

  AttemptAction command;
  std::optional<AttemptAction> pre_hook;
  std::optional<AttemptAction> post_hook;

  std::optional<PlanAction> run_if;
  std::optional<PlanAction> abort_if;
  std::optional<PlanAction> on_success;
  std::optional<PlanAction> on_failure;
  std::optional<PlanAction> on_timeout;
  std::optional<PlanAction> finally_action;

  std::vector<std::string> depends_on;  // names, in the order written, no doubles
  Value::Map params;
  std::optional<Duration> timeout;      // of one attempt
  RetryPolicy retries;
  std::vector<std::string> delegate_to;  // agent names; empty: here
  std::string user;                      // whom it runs as on an agent; "": the agent's choice
  bool idempotent = false;               // may be started again though how it ended is unknown
  std::optional<Duration> lost_after;    // on an agent that is silent: how long until it is given up
  std::string workdir;                   // "" : the directory of the file. Else absolute, or relative to that
  std::map<std::string, std::string> env;
};

}  // namespace sloth
