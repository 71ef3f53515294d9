// Problems: everything wrong with a task file, collected, then told at once in the order of the file.
//
// Not shared: one thread at a time.
//
//   problems.add(place, R"(task "build": timeout: "5" is not a duration)", "write it like ...");
//   if (!problems.empty()) return problems.error(excerpt);
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/task/task.h"

namespace sloth {

class Problems {
 public:
  // `cure`: what to do, on a line of its own; "" when the message says it.
  void add(const Place& place, std::string message, std::string cure = "");

  [[nodiscard]] bool empty() const { return list_.empty(); }

  // One block per problem: "tasks.lua:12: message", the source line, the cure. Above kMostShown the rest is
  // counted. REQUIRES: !empty().
  [[nodiscard]] Error error(const std::function<std::string(const Place&)>& excerpt) const;

  static constexpr std::size_t kMostShown = 100;

 private:
  struct Problem {
    Place place;
    std::string message;
    std::string cure;
  };
  std::vector<Problem> list_;
};

}  // namespace sloth
