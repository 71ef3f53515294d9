#include <algorithm>
#include <random>

#include "runner/task/plan.h"
#include "tests/unit/task/workflow_builder.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

std::string name_of(std::size_t i) { return "task_" + std::to_string(i); }

Workflow large(std::size_t tasks, std::size_t edges_each) {
  std::mt19937 random(1);
  Declared declared;
  for (std::size_t i = 0; i < tasks; ++i) {
    std::vector<std::string> dependencies;
    for (std::size_t e = 0; e < edges_each && i > 0; ++e) {
      dependencies.push_back(name_of(static_cast<std::size_t>(random()) % i));
    }
    declared.push_back({name_of(i), dependencies});
  }
  return workflow_of(declared);
}

// Quadratic work at this size is 10^8 steps and more; the tests' own limit of two minutes would end it under
// a sanitizer. The bench reports the time.
TEST_CASE("A plan of ten thousand tasks and a hundred thousand dependencies runs to its end") {
  const std::size_t tasks = 10'000;
  auto plan = Plan::build(large(tasks, 10), {});
  REQUIRE(plan);
  CHECK(plan->order().size() == tasks);
  std::size_t handed_out = 0;
  while (!plan->done()) {
    const auto task = plan->next_ready();
    REQUIRE(task);
    ++handed_out;
    REQUIRE(plan->finished(*task, {}).empty());
  }
  CHECK(handed_out == tasks);
}

TEST_CASE("A chain of a hundred thousand tasks needs no deep stack") {
  Declared declared{{name_of(0), {}}};
  for (std::size_t i = 1; i < 100'000; ++i) declared.push_back({name_of(i), {name_of(i - 1)}});

  SECTION("to be built and skipped") {
    auto plan = Plan::build(workflow_of(declared), {});
    REQUIRE(plan);
    REQUIRE(plan->next_ready() == name_of(0));
    Outcome failed;
    failed.kind = OutcomeKind::kFailed;
    CHECK(plan->finished(name_of(0), failed).size() == declared.size() - 1);
    CHECK(plan->done());
  }
  SECTION("to be recognised as a ring") {
    declared.front().second = {name_of(declared.size() - 1)};
    const auto plan = Plan::build(workflow_of(declared), {});
    REQUIRE_FALSE(plan);
    const std::string& message = plan.error().message;
    CHECK(std::count(message.begin(), message.end(), '>') == 100'000);
    CHECK(std::count(message.begin(), message.end(), '\n') == 0);
  }
}

TEST_CASE("Ten thousand tasks that all depend on each other are refused with the first cycles only") {
  Workflow workflow = large(10'000, 10);
  for (std::size_t i = 0; i + 1 < workflow.tasks.size(); ++i) {
    workflow.tasks[i].depends_on.push_back(name_of(i + 1));
  }
  const auto plan = Plan::build(workflow, {});
  REQUIRE_FALSE(plan);
  CHECK_THAT(plan.error().message, Catch::EndsWith("the first 20 are shown"));
}

TEST_CASE("Ten thousand unknown dependencies are all reported, only the first ones with a suggestion") {
  Workflow workflow = large(10'000, 0);
  for (TaskSpec& task : workflow.tasks) task.depends_on = {task.name + "x"};
  const auto plan = Plan::build(workflow, {});
  REQUIRE_FALSE(plan);
  const std::string& message = plan.error().message;
  CHECK(std::count(message.begin(), message.end(), '\n') == 9'999);
  CHECK(std::count(message.begin(), message.end(), '?') == 20);
}

}  // namespace
}  // namespace sloth
