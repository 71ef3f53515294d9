// Plan: which tasks are wanted, ready, running, finished. Pure bookkeeping: no threads, no clock, no I/O.
//
// Not shared: one thread at a time. The order is deterministic: ready tasks come in the order of the
// file, a task that became ready later comes after those that were ready before.
//
//   auto plan = Plan::build(workflow, {"deploy"});
//   if (!plan) print_all(plan.error());
//   while (auto task = plan->next_ready()) start(*task);
//   plan->finished("build", outcome);      // may make others ready, or skip all that depend on it
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runner/base/result.h"
#include "runner/task/outcome.h"
#include "runner/task/workflow.h"

namespace sloth {

class Plan {
 public:
  // Wanted are `targets` with all their dependencies. Empty `targets`: all tasks of the workflow groups,
  // group after group; without groups all tasks. Tasks in no group are then wanted only as dependencies.
  //
  // A wrong plan reports every problem of the whole file, not the first: one message per line, each with
  // file:line (a target: the file) and the nearest name (unknown target, unknown dependency) or the whole
  // path of a cycle "a -> b -> a". O((V + E) log V).
  static Result<Plan> build(const Workflow& workflow, const std::vector<std::string>& targets);

  // All wanted tasks: dependencies before dependents, else the order of the file (of the groups when they
  // are what is wanted).
  [[nodiscard]] const std::vector<std::string>& order() const { return order_; }

  // The next task to start; it counts as running from now. Empty when none is ready.
  std::optional<std::string> next_ready();

  // REQUIRES: `task` was handed out by next_ready and not finished yet. When the outcome is no success, all
  // transitive dependents that wait are skipped; they are returned in order with the reason as message:
  // "skipped (build failed)", or "skipped (depends on lint, which was skipped)".
  std::vector<std::pair<std::string, Outcome>> finished(const std::string& task, const Outcome& outcome);

  // No more tasks become ready: all that did not start end as `kind` (kCancelled or kSkipped) with `reason`
  // as message and are returned in order. Running tasks are still to be reported by finished().
  std::vector<std::pair<std::string, Outcome>> stop(OutcomeKind kind, const std::string& reason);

  [[nodiscard]] std::size_t running() const { return running_; }
  // All tasks have ended.
  [[nodiscard]] bool done() const { return running_ == 0 && waiting_ == 0; }
  // Of the tasks that have ended, by name.
  [[nodiscard]] const std::map<std::string, Outcome>& outcomes() const { return outcomes_; }

 private:
  using Id = std::uint32_t;  // index into order_
  enum class State { kWaiting, kRunning, kEnded };
  struct Node {
    std::vector<Id> dependents;  // in file order
    std::size_t waiting_for = 0;
    State state = State::kWaiting;
  };

  Plan() = default;
  void end(Id id, Outcome outcome, std::vector<std::pair<std::string, Outcome>>& ended);
  void skip_dependents(Id id, const std::string& reason, std::vector<std::pair<std::string, Outcome>>& ended);

  std::vector<std::string> order_;
  std::unordered_map<std::string, Id> ids_;
  std::vector<Node> nodes_;  // beside order_
  std::deque<Id> ready_;     // next first
  std::map<std::string, Outcome> outcomes_;
  std::size_t running_ = 0;
  std::size_t waiting_ = 0;  // tasks not started and not ended
};

}  // namespace sloth
