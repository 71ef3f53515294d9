#include "runner/task/workflow.h"

#include <algorithm>

namespace sloth {

const TaskSpec* Workflow::find(std::string_view name) const {
  const auto found =
      std::find_if(tasks.begin(), tasks.end(), [&](const TaskSpec& task) { return task.name == name; });
  return found == tasks.end() ? nullptr : &*found;
}

}  // namespace sloth
