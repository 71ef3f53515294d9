#include <catch2/catch.hpp>
#include <chrono>

#include "tests/unit/dsl/dsl_fixture.h"

namespace sloth {
namespace {

TEST_CASE("10,000 tasks load in every form") {
  const Workflow built = DslFixture().loaded(R"(
    local before
    for i = 1, 10000 do
      before = task("t" .. i):command(function() return i end):depends_on(before or {}):build()
    end
  )");
  REQUIRE(built.tasks.size() == 10000);
  CHECK(built.tasks.back().depends_on == std::vector<std::string>{"t9999"});

  const Workflow tables = DslFixture().loaded(R"(
    local tasks = {}
    for i = 1, 10000 do tasks["t" .. i] = { command = "true" } end
    workflow.define("w", { tasks = tasks })
  )");
  CHECK(tables.groups.at(0).tasks.size() == 10000);

  std::string text = "TaskDefinitions = { g = { tasks = {\n";
  for (int i = 0; i < 10000; ++i) text += "t" + std::to_string(i) + " = { command = 'true' },\n";
  const Workflow written = DslFixture().loaded(text + "} } }");
  REQUIRE(written.tasks.size() == 10000);
  CHECK(written.tasks[9999].name == "t9999");
  CHECK(written.tasks[9999].place.line == 10001);
}

TEST_CASE("more than 100,000 tasks are refused") {
  CHECK(problems_of("for i = 1, 100001 do task('t' .. i) end") ==
        "tasks.lua:1: more than 100000 tasks in one file");
  CHECK(problems_of("TaskDefinitions = {} for i = 1, 100001 do TaskDefinitions[i .. ''] = {} end") ==
        "tasks.lua:1: more than 100000 tasks in one file\n"
        "  1 | TaskDefinitions = {} for i = 1, 100001 do TaskDefinitions[i .. ''] = {} end");
}

TEST_CASE("deep nesting is refused, not followed") {
  CHECK(problems_of(R"(
    local deep = {}
    for i = 1, 200000 do deep = { deep } end
    task("t"):command("x"):params(deep):build()
  )")
            .find("is nested deeper than 100") != std::string::npos);
  CHECK_FALSE(problems_of("local x = " + std::string(10000, '(') + "1" + std::string(10000, ')')).empty());
}

}  // namespace
}  // namespace sloth
