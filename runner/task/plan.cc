#include "runner/task/plan.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>

#include "runner/base/check.h"
#include "runner/task/dependency_graph.h"

namespace sloth {
namespace {

using TaskIndex = std::uint32_t;  // into Workflow::tasks
constexpr std::uint32_t kUnranked = std::numeric_limits<std::uint32_t>::max();

// The one place that decides whether the dependents of a task that ended may run. Empty: they may.
std::optional<std::string> reason_to_skip_dependents(const std::string& task, OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kSucceeded: return std::nullopt;
    case OutcomeKind::kFailed: return "skipped (" + task + " failed)";
    case OutcomeKind::kTimedOut: return "skipped (" + task + " timed out)";
    case OutcomeKind::kCancelled: return "skipped (" + task + " was cancelled)";
    case OutcomeKind::kAborted: return "skipped (" + task + " aborted)";
    case OutcomeKind::kSkipped: return "skipped (depends on " + task + ", which was skipped)";
    case OutcomeKind::kUnknown: return "skipped (the outcome of " + task + " is unknown)";
    case OutcomeKind::kRefused: return "skipped (" + task + " was refused)";
    case OutcomeKind::kUnreachable: return "skipped (" + task + " reached no agent)";
  }
  return std::nullopt;
}

Outcome ended_without_start(OutcomeKind kind, const std::string& reason) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = reason;
  return outcome;
}

// The wanted tasks and all they need, by index.
std::vector<bool> needed_tasks(const DependencyGraph& graph) {
  std::vector<bool> needed(graph.dependencies.size());
  std::vector<TaskIndex> open;
  const auto need = [&](TaskIndex task) {
    if (needed[task]) return;
    needed[task] = true;
    open.push_back(task);
  };
  for (const TaskIndex task : graph.wanted) need(task);
  while (!open.empty()) {
    const TaskIndex task = open.back();
    open.pop_back();
    for (const TaskIndex dependency : graph.dependencies[task]) need(dependency);
  }
  return needed;
}

// The place of each task among those that could run at the same moment: as wanted when the groups say it, and
// else (targets, dependencies) as in the file.
std::vector<std::uint32_t> ranks(const DependencyGraph& graph, bool as_wanted) {
  std::vector<std::uint32_t> rank(graph.dependencies.size(), kUnranked);
  std::uint32_t next = 0;
  if (as_wanted) {
    for (const TaskIndex task : graph.wanted) rank[task] = next++;
  }
  for (std::uint32_t& place : rank) {
    if (place == kUnranked) place = next++;
  }
  return rank;
}

}  // namespace

Result<Plan> Plan::build(const Workflow& workflow, const std::vector<std::string>& targets) {
  Result<DependencyGraph> graph = DependencyGraph::build(workflow, targets);
  if (!graph) return graph.error();
  const std::vector<bool> needed = needed_tasks(*graph);
  const std::vector<std::uint32_t> rank = ranks(*graph, targets.empty());

  const std::size_t count = graph->dependencies.size();
  std::vector<std::size_t> missing(count);
  std::vector<std::vector<TaskIndex>> dependents(count);
  using Ranked = std::pair<std::uint32_t, TaskIndex>;
  std::priority_queue<Ranked, std::vector<Ranked>, std::greater<>> free;
  for (TaskIndex task = 0; task < count; ++task) {
    if (!needed[task]) continue;
    missing[task] = graph->dependencies[task].size();
    for (const TaskIndex dependency : graph->dependencies[task]) dependents[dependency].push_back(task);
    if (missing[task] == 0) free.emplace(rank[task], task);
  }

  Plan plan;
  std::vector<TaskIndex> ordered;  // Kahn's algorithm; among free tasks the lowest rank
  std::vector<Id> id_of(count);
  while (!free.empty()) {
    const TaskIndex task = free.top().second;
    free.pop();
    id_of[task] = static_cast<Id>(ordered.size());
    ordered.push_back(task);
    for (const TaskIndex dependent : dependents[task]) {
      if (--missing[dependent] == 0) free.emplace(rank[dependent], dependent);
    }
  }

  plan.nodes_.resize(ordered.size());
  std::vector<Ranked> roots;
  for (Id id = 0; id < ordered.size(); ++id) {
    const TaskIndex task = ordered[id];
    Node& node = plan.nodes_[id];
    plan.order_.push_back(workflow.tasks[task].name);
    plan.ids_.emplace(plan.order_.back(), id);
    node.waiting_for = graph->dependencies[task].size();
    if (node.waiting_for == 0) roots.emplace_back(rank[task], id);
    std::sort(dependents[task].begin(), dependents[task].end(),
              [&](TaskIndex a, TaskIndex b) { return rank[a] < rank[b]; });
    for (const TaskIndex dependent : dependents[task]) node.dependents.push_back(id_of[dependent]);
  }
  std::sort(roots.begin(), roots.end());
  for (const Ranked& root : roots) plan.ready_.push_back(root.second);
  plan.waiting_ = plan.nodes_.size();
  return plan;
}

std::optional<std::string> Plan::next_ready() {
  if (ready_.empty()) return std::nullopt;
  const Id id = ready_.front();
  ready_.pop_front();
  nodes_[id].state = State::kRunning;
  --waiting_;
  ++running_;
  return order_[id];
}

std::vector<std::pair<std::string, Outcome>> Plan::finished(const std::string& task, const Outcome& outcome) {
  const auto found = ids_.find(task);
  SLOTH_CHECK(found != ids_.end());
  const Id id = found->second;
  SLOTH_CHECK(nodes_[id].state == State::kRunning);
  nodes_[id].state = State::kEnded;
  --running_;
  outcomes_.emplace(task, outcome);

  std::vector<std::pair<std::string, Outcome>> skipped;
  if (const auto reason = reason_to_skip_dependents(task, outcome.kind)) {
    skip_dependents(id, *reason, skipped);
    return skipped;
  }
  for (const Id dependent : nodes_[id].dependents) {
    Node& node = nodes_[dependent];
    if (--node.waiting_for == 0 && node.state == State::kWaiting) ready_.push_back(dependent);
  }
  return skipped;
}

std::vector<std::pair<std::string, Outcome>> Plan::stop(OutcomeKind kind, const std::string& reason) {
  std::vector<std::pair<std::string, Outcome>> ended;
  for (Id id = 0; id < nodes_.size(); ++id) {
    if (nodes_[id].state == State::kWaiting) end(id, ended_without_start(kind, reason), ended);
  }
  ready_.clear();
  return ended;
}

void Plan::end(Id id, Outcome outcome, std::vector<std::pair<std::string, Outcome>>& ended) {
  nodes_[id].state = State::kEnded;
  --waiting_;
  outcomes_.emplace(order_[id], outcome);
  ended.emplace_back(order_[id], std::move(outcome));
}

void Plan::skip_dependents(Id id, const std::string& reason,
                           std::vector<std::pair<std::string, Outcome>>& ended) {
  std::vector<Id> reached{id};
  for (std::size_t head = 0; head < reached.size(); ++head) {
    for (const Id dependent : nodes_[reached[head]].dependents) {
      if (nodes_[dependent].state != State::kWaiting) continue;
      nodes_[dependent].state = State::kEnded;  // before it is recorded: two paths may lead here
      reached.push_back(dependent);
    }
  }
  std::sort(reached.begin() + 1, reached.end());
  for (std::size_t i = 1; i < reached.size(); ++i) {
    end(reached[i], ended_without_start(OutcomeKind::kSkipped, reason), ended);
  }
}

}  // namespace sloth
