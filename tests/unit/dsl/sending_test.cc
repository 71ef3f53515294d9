#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/dsl/dsl_fixture.h"

namespace sloth {
namespace {

TEST_CASE("what cannot be sent is reported beside the other problems") {
  const std::string text = problems_of(R"(
local running, other = coroutine.create(function() end), coroutine.create(function() end)
task("a"):command(function() return running end):timeout("5"):build()
task("b"):command("x"):pre_hook(function() return other end):build()
)");
  CHECK(text.find("tasks.lua:3: task \"a\": cannot send") != std::string::npos);
  CHECK(text.find("tasks.lua:3: task \"a\": timeout: \"5\" is not a duration") != std::string::npos);
  CHECK(text.find("tasks.lua:4: task \"b\": cannot send") != std::string::npos);
}

TEST_CASE("a task object that a function captures travels as its name") {
  const Workflow workflow = DslFixture().loaded(R"(
local first = task("the first"):command("x"):build()
task("second"):command(function() return first end):build()
)");
  REQUIRE(workflow.tasks.size() == 2);
  const auto& function = std::get<PortableFunction>(workflow.tasks[1].command);
  const auto& closure = std::get<PortableClosure>(function.store->objects.at(function.object));
  REQUIRE(closure.upvalues.size() == 1);
  CHECK(function.store->cells.at(closure.upvalues[0]) == PortableValue(std::string("the first")));
}

TEST_CASE("the functions of one file share one store") {
  const Workflow workflow = DslFixture().loaded(R"(
local shared = { 1, 2, 3 }
task("a"):command(function() return shared end):post_hook(function() return shared end):build()
task("b"):command(function() return shared end):build()
)");
  REQUIRE(workflow.tasks.size() == 2);
  const auto& a = std::get<PortableFunction>(workflow.tasks[0].command);
  const auto& hook = std::get<PortableFunction>(*workflow.tasks[0].post_hook);
  const auto& b = std::get<PortableFunction>(workflow.tasks[1].command);
  CHECK(a.store == b.store);
  CHECK(a.store == hook.store);
  CHECK(a.object != b.object);
}

TEST_CASE("a problem in an imported file shows that file's line") {
  std::string directory = (std::filesystem::temp_directory_path() / "sloth-dsl-XXXXXX").string();
  REQUIRE(mkdtemp(directory.data()) != nullptr);
  std::ofstream(directory + "/more.lua") << "\ntask('x'):comand('y'):build()\n";
  DslFixture fixture;
  fixture.host().workdir = fixture.host().file_directory = directory;
  CHECK(fixture.problems("import('more.lua')") ==
        "more.lua:2: task \"x\": \"comand\" is unknown; did you mean \"command\"?\n"
        "  2 | task('x'):comand('y'):build()");
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace sloth
