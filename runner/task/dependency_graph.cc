#include "runner/task/dependency_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <unordered_map>

#include "runner/base/nearest.h"

namespace sloth {
namespace {

constexpr std::size_t kMostCycles = 20;
constexpr std::size_t kMostSuggestions = 20;

class Builder {
 public:
  explicit Builder(const Workflow& workflow) : workflow_(workflow) {}

  Result<DependencyGraph> build(const std::vector<std::string>& targets) {
    index_tasks();
    link_tasks();
    choose_wanted(targets);
    report_cycles();
    if (problems_.empty()) return std::move(graph_);
    std::string text;
    for (const GraphProblem& problem : problems_) {
      text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", where(problem.place), problem.message);
    }
    return Error{Code::kInvalid, std::move(text)};
  }

  std::vector<GraphProblem> problems() {
    for (std::uint32_t id = 0; id < workflow_.tasks.size(); ++id) {
      names_.push_back(workflow_.tasks[id].name);
      ids_.emplace(workflow_.tasks[id].name, id);
    }
    link_tasks();
    report_cycles();
    return std::move(problems_);
  }

 private:
  void index_tasks() {
    for (std::uint32_t id = 0; id < workflow_.tasks.size(); ++id) {
      const TaskSpec& task = workflow_.tasks[id];
      const auto [first, added] = ids_.emplace(task.name, id);
      names_.push_back(task.name);
      if (added) continue;
      problems_.push_back(
          {task.place, fmt::format("task \"{}\" is declared twice, first at {}; rename one of them",
                                   task.name, workflow_.tasks[first->second].place.text())});
    }
  }

  void link_tasks() {
    graph_.dependencies.resize(workflow_.tasks.size());
    for (std::uint32_t id = 0; id < workflow_.tasks.size(); ++id) {
      const TaskSpec& task = workflow_.tasks[id];
      std::set<std::string_view> seen;
      for (const std::string& name : task.depends_on) {
        if (!seen.insert(name).second) continue;
        if (const auto found = ids_.find(name); found != ids_.end()) {
          graph_.dependencies[id].push_back(found->second);
        } else {
          problems_.push_back({task.place, fmt::format("task \"{}\": unknown dependency \"{}\"{}", task.name,
                                                       name, suggestion(name))});
        }
      }
    }
  }

  void choose_wanted(const std::vector<std::string>& targets) {
    std::set<std::string_view> seen;
    const auto want = [&](const std::string& name, const Place& place, const std::string& group) {
      if (!seen.insert(name).second) return;
      if (const auto found = ids_.find(name); found != ids_.end()) {
        graph_.wanted.push_back(found->second);
      } else {
        problems_.push_back({place, fmt::format("{}unknown task \"{}\"{}", group, name, suggestion(name))});
      }
    };
    for (const std::string& name : targets) want(name, {workflow_.file, 0}, "");
    for (const WorkflowGroup& group : workflow_.groups) {
      // Targets choose what runs, but a wrong group is a wrong file either way.
      const std::vector<std::uint32_t> before = graph_.wanted;
      for (const std::string& name : group.tasks) {
        want(name, group.place, fmt::format("workflow \"{}\": ", group.name));
      }
      if (!targets.empty()) graph_.wanted = before;
    }
    if (targets.empty() && workflow_.groups.empty()) {
      graph_.wanted.resize(workflow_.tasks.size());
      std::iota(graph_.wanted.begin(), graph_.wanted.end(), 0U);
    }
  }

  void report_cycles() {
    const auto cycles = find_cycles(graph_.dependencies, kMostCycles + 1);
    for (std::size_t i = 0; i < std::min(cycles.size(), kMostCycles); ++i) {
      const auto& cycle = cycles[i];
      std::string path;
      for (const std::uint32_t id : cycle) path += names_[id] + " -> ";
      path += names_[cycle.front()];
      problems_.push_back(
          {workflow_.tasks[cycle.front()].place,
           cycle.size() == 1
               ? fmt::format("task \"{}\" depends on itself: {}", names_[cycle.front()], path)
               : fmt::format("tasks depend on each other: {}; remove one of these dependencies", path)});
    }
    if (cycles.size() > kMostCycles) {
      problems_.push_back(
          {{workflow_.file, 0}, fmt::format("there are more cycles; the first {} are shown", kMostCycles)});
    }
  }

  // A target has no line.
  static std::string where(const Place& place) { return place.line > 0 ? place.text() : place.file; }

  // Looking for a near name among thousands costs milliseconds each.
  std::string suggestion(const std::string& name) {
    return suggestions_++ < kMostSuggestions ? did_you_mean(name, names_) : "";
  }

  const Workflow& workflow_;
  DependencyGraph graph_;
  std::unordered_map<std::string_view, std::uint32_t> ids_;
  std::vector<std::string> names_;  // of the tasks, by id
  std::vector<GraphProblem> problems_;
  std::size_t suggestions_ = 0;
};

}  // namespace

Result<DependencyGraph> DependencyGraph::build(const Workflow& workflow,
                                               const std::vector<std::string>& targets) {
  return Builder(workflow).build(targets);
}

std::vector<GraphProblem> DependencyGraph::problems(const Workflow& workflow) {
  return Builder(workflow).problems();
}

}  // namespace sloth
