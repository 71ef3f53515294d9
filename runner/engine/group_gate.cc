#include "runner/engine/group_gate.h"

namespace sloth {

GroupGate::GroupGate(const Workflow& workflow, const std::vector<std::size_t>& groups,
                     const std::vector<std::string>& tasks) {
  for (const std::size_t index : groups) {
    groups_.emplace_back();
    groups_.back().spec = &workflow.groups[index];
    for (const std::string& task : workflow.groups[index].tasks)
      membership_.emplace(task, groups_.size() - 1);
  }
  for (const std::string& task : tasks) {
    if (const auto number = group_of(task)) ++groups_[*number].left;
  }
  std::size_t first = 0;
  while (first < groups_.size() && groups_[first].left == 0) groups_[first++].state = State::kClosed;
  if (first < groups_.size()) groups_[first].its_turn = true;
}

std::optional<std::size_t> GroupGate::group_of(const std::string& task) const {
  const auto found = membership_.find(task);
  if (found == membership_.end()) return std::nullopt;
  return found->second;
}

bool GroupGate::admit(const std::string& task) {
  const auto number = group_of(task);
  if (!number) return true;
  Group& group = groups_[*number];
  // Behind those that wait already, so that the order stays.
  if (!group.held.empty() || !may_start(group)) {
    group.held.push_back(task);
    return false;
  }
  ++group.running;
  return true;
}

std::optional<std::string> GroupGate::next() {
  for (Group& group : groups_) {
    if (group.held.empty() || !may_start(group)) continue;
    std::string task = std::move(group.held.front());
    group.held.pop_front();
    ++group.running;
    return task;
  }
  return std::nullopt;
}

std::optional<std::size_t> GroupGate::to_open() {
  for (std::size_t number = 0; number < groups_.size(); ++number) {
    Group& group = groups_[number];
    if (group.state != State::kWaiting || !group.its_turn || group.held.empty()) continue;
    group.state = State::kOpening;
    return number;
  }
  return std::nullopt;
}

std::optional<std::size_t> GroupGate::ended(const std::string& task, bool ran) {
  const auto number = group_of(task);
  if (!number) return std::nullopt;
  Group& group = groups_[*number];
  if (ran) --group.running;
  if (--group.left > 0) return std::nullopt;
  return number;
}

void GroupGate::close(std::size_t number) {
  groups_[number].state = State::kClosed;
  for (Group& group : groups_) {
    if (group.state == State::kClosed) continue;
    if (group.left == 0 && group.state == State::kWaiting) {
      group.state = State::kClosed;
      continue;
    }
    group.its_turn = true;
    return;
  }
}

std::vector<std::string> GroupGate::take_held() {
  std::vector<std::string> tasks;
  for (Group& group : groups_) {
    tasks.insert(tasks.end(), group.held.begin(), group.held.end());
    group.held.clear();
  }
  return tasks;
}

bool GroupGate::let_one_through() {
  for (Group& group : groups_) {
    if (group.held.empty() || group.its_turn) continue;
    group.its_turn = true;
    return true;
  }
  return false;
}

bool GroupGate::may_start(const Group& group) const {
  return group.state == State::kOpen &&
         group.running < group.spec->max_parallel_tasks.value_or(group.running + 1);
}

}  // namespace sloth
