// Short-hand for workflows in tests: each task stands on the line of its position, from 1.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runner/task/workflow.h"

namespace sloth {

using Declared = std::vector<std::pair<std::string, std::vector<std::string>>>;

// workflow_of({{"a", {}}, {"b", {"a"}}}): "b" depends on "a" and is declared at tasks.lua:2.
inline Workflow workflow_of(const Declared& tasks) {
  Workflow workflow;
  workflow.file = "tasks.lua";
  workflow.directory = "/project";
  for (const auto& [name, dependencies] : tasks) {
    TaskSpec task;
    task.name = name;
    task.place = Place{"tasks.lua", static_cast<int>(workflow.tasks.size()) + 1};
    task.command = ShellCommand{"true"};
    task.depends_on = dependencies;
    workflow.tasks.push_back(std::move(task));
  }
  return workflow;
}

inline WorkflowGroup group_of(const std::string& name, const std::vector<std::string>& tasks, int line) {
  WorkflowGroup group;
  group.name = name;
  group.place = Place{"tasks.lua", line};
  group.tasks = tasks;
  return group;
}

}  // namespace sloth
