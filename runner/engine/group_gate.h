// GroupGate: which ready tasks have to wait because of the workflow they belong to: an earlier workflow is
// not complete, its own has not been opened (on_start), or has max_parallel_tasks running. Pure bookkeeping.
//
// Not shared: one thread at a time. Tasks of no workflow pass. Each call is O(1) in tasks, O(n) in workflows.
//
//   waiting -> open -> complete -> closed          workflow after workflow, in the order of the file
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "runner/task/workflow.h"

namespace sloth {

class GroupGate {
 public:
  // `groups` are the indexes in workflow.groups that take part, `tasks` the tasks of the run. `workflow`
  // outlives the gate.
  GroupGate(const Workflow& workflow, const std::vector<std::size_t>& groups,
            const std::vector<std::string>& tasks);

  // The number, from 0 among those that take part, of a task's group; empty: none.
  [[nodiscard]] std::optional<std::size_t> group_of(const std::string& task) const;
  [[nodiscard]] const WorkflowGroup& group(std::size_t number) const { return *groups_[number].spec; }

  // A ready task asks to start. False: it is kept here until next() or take_held() gives it back.
  bool admit(const std::string& task);
  // A kept task that may start now.
  std::optional<std::string> next();
  // The group that should be opened now: its turn has come and it has tasks. Given once.
  std::optional<std::size_t> to_open();
  void opened(std::size_t number) { groups_[number].state = State::kOpen; }

  // A task ended; `ran`: admit() or next() had let it start. The number of its group when that was its last
  // task: close() it then.
  std::optional<std::size_t> ended(const std::string& task, bool ran);
  // Lets the next group have its turn.
  void close(std::size_t number);

  // Everything kept, in order.
  std::vector<std::string> take_held();
  // Nothing runs, but tasks are kept: an earlier workflow needs a task of a later one. Gives the first of
  // these groups its turn now. False when nothing is kept.
  bool let_one_through();

  // Whether the group was opened, or is being.
  [[nodiscard]] bool was_opened(std::size_t number) const { return groups_[number].state != State::kWaiting; }

 private:
  enum class State { kWaiting, kOpening, kOpen, kClosed };
  struct Group {
    const WorkflowGroup* spec = nullptr;
    State state = State::kWaiting;
    bool its_turn = false;
    std::size_t left = 0;  // tasks that have not ended
    int running = 0;
    std::deque<std::string> held;
  };

  [[nodiscard]] bool may_start(const Group& group) const;

  std::vector<Group> groups_;
  std::unordered_map<std::string, std::size_t> membership_;
};

}  // namespace sloth
