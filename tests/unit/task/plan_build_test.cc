#include <algorithm>

#include "runner/task/plan.h"
#include "tests/unit/task/workflow_builder.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using Names = std::vector<std::string>;

Names order_of(const Workflow& workflow, const Names& targets = {}) {
  const auto plan = Plan::build(workflow, targets);
  return plan ? plan->order() : Names{plan.error().message};
}

std::string problems_of(const Workflow& workflow, const Names& targets = {}) {
  const auto plan = Plan::build(workflow, targets);
  if (plan) return "no problem";
  CHECK(plan.error().code == Code::kInvalid);
  return plan.error().message;
}

TEST_CASE("The order puts dependencies before dependents and else keeps the order of the file") {
  struct Row {
    const char* what;
    Declared tasks;
    Names targets, order;
  };
  const std::vector<Row> rows = {
      {"an empty file", {}, {}, {}},
      {"independent tasks", {{"c", {}}, {"a", {}}, {"b", {}}}, {}, {"c", "a", "b"}},
      {"a chain written backwards", {{"c", {"b"}}, {"b", {"a"}}, {"a", {}}}, {}, {"a", "b", "c"}},
      {"a diamond", {{"d", {"b", "c"}}, {"c", {"a"}}, {"b", {"a"}}, {"a", {}}}, {}, {"a", "c", "b", "d"}},
      {"one target with what it needs",
       {{"a", {}}, {"b", {"a"}}, {"c", {}}, {"d", {"b"}}},
       {"b"},
       {"a", "b"}},
      {"targets in file order", {{"a", {}}, {"b", {}}, {"c", {}}}, {"c", "a"}, {"a", "c"}},
      {"a target named twice", {{"a", {}}, {"b", {}}}, {"a", "a"}, {"a"}},
      {"a dependency named twice", {{"a", {}}, {"b", {"a", "a"}}}, {"b"}, {"a", "b"}},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(order_of(workflow_of(row.tasks), row.targets) == row.order);
  }
}

TEST_CASE("With groups a bare run means their tasks, group after group, and what these need") {
  Workflow workflow =
      workflow_of({{"tool", {}}, {"deploy", {"build"}}, {"build", {"tool"}}, {"lint", {}}, {"spare", {}}});
  workflow.groups = {group_of("check", {"lint"}, 10), group_of("ship", {"build", "deploy", "lint"}, 20)};
  CHECK(order_of(workflow) == Names{"lint", "tool", "build", "deploy"});

  SECTION("a task in no group still runs by its name") {
    CHECK(order_of(workflow, {"spare"}) == Names{"spare"});
  }
  SECTION("targets come in file order") {
    CHECK(order_of(workflow, {"lint", "tool"}) == Names{"tool", "lint"});
  }
}

TEST_CASE("A name that does not exist is reported with its place and the nearest one") {
  CHECK(problems_of(workflow_of({{"build", {}}, {"test", {"biuld"}}})) ==
        "tasks.lua:2: task \"test\": unknown dependency \"biuld\"; did you mean \"build\"?");
  CHECK(problems_of(workflow_of({{"build", {}}}), {"buildd"}) ==
        "tasks.lua: unknown task \"buildd\"; did you mean \"build\"?");
  CHECK(problems_of(workflow_of({{"build", {}}}), {"xyz", "xyz"}) == "tasks.lua: unknown task \"xyz\"");

  Workflow grouped = workflow_of({{"build", {}}});
  grouped.groups = {group_of("ci", {"biuld"}, 7)};
  const std::string wrong_group =
      "tasks.lua:7: workflow \"ci\": unknown task \"biuld\"; did you mean \"build\"?";
  CHECK(problems_of(grouped) == wrong_group);
  CHECK(problems_of(grouped, {"build"}) == wrong_group);
}

TEST_CASE("A cycle is reported once, with its whole path, from its first task in the file") {
  CHECK(problems_of(workflow_of({{"a", {"a"}}})) == "tasks.lua:1: task \"a\" depends on itself: a -> a");
  CHECK(problems_of(workflow_of({{"x", {}}, {"b", {"c", "x"}}, {"c", {"d"}}, {"d", {"b"}}})) ==
        "tasks.lua:2: tasks depend on each other: b -> c -> d -> b; remove one of these dependencies");
  CHECK(problems_of(workflow_of({{"a", {"b"}}, {"b", {"a"}}, {"c", {"d", "a"}}, {"d", {"c"}}})) ==
        "tasks.lua:1: tasks depend on each other: a -> b -> a; remove one of these dependencies\n"
        "tasks.lua:3: tasks depend on each other: c -> d -> c; remove one of these dependencies");
}

TEST_CASE("Two cycles through one dependency are both reported") {
  CHECK(problems_of(workflow_of({{"a", {"b", "c"}}, {"b", {"c"}}, {"c", {"a"}}})) ==
        "tasks.lua:1: tasks depend on each other: a -> b -> c -> a; remove one of these dependencies\n"
        "tasks.lua:1: tasks depend on each other: a -> c -> a; remove one of these dependencies");
}

TEST_CASE("A cycle outside the targets is a wrong file all the same") {
  CHECK(problems_of(workflow_of({{"a", {}}, {"b", {"b"}}}), {"a"}) ==
        "tasks.lua:2: task \"b\" depends on itself: b -> b");
}

TEST_CASE("All problems are reported at once") {
  CHECK(problems_of(
            workflow_of({{"a", {"nowhere"}}, {"b", {"b", "aa"}}, {"c", {"d"}}, {"d", {"c"}}, {"a", {}}}),
            {"missing", "a"}) ==
        "tasks.lua:5: task \"a\" is declared twice, first at tasks.lua:1; rename one of them\n"
        "tasks.lua:1: task \"a\": unknown dependency \"nowhere\"\n"
        "tasks.lua:2: task \"b\": unknown dependency \"aa\"; did you mean \"a\"?\n"
        "tasks.lua: unknown task \"missing\"\n"
        "tasks.lua:2: task \"b\" depends on itself: b -> b\n"
        "tasks.lua:3: tasks depend on each other: c -> d -> c; remove one of these dependencies");
}

TEST_CASE("Of very many cycles the first twenty are shown and the rest is announced") {
  Declared tasks;
  for (int i = 0; i < 30; ++i) tasks.push_back({"t" + std::to_string(i), {"t" + std::to_string(i)}});
  const std::string problems = problems_of(workflow_of(tasks));
  CHECK(std::count(problems.begin(), problems.end(), '\n') == 20);
  CHECK_THAT(problems, Catch::EndsWith("tasks.lua: there are more cycles; the first 20 are shown"));
}

}  // namespace
}  // namespace sloth
