#include <catch2/catch.hpp>

#include "tests/unit/dsl/dsl_fixture.h"

namespace sloth {
namespace {

using Warnings = std::vector<std::string>;

Warnings warnings_of(std::string_view text) { return DslFixture().loaded(text).warnings; }

TEST_CASE("a variable that one task assigns and another reads is told with both places") {
  CHECK(warnings_of(R"(
local version
task("build"):command(function()
  version = "1.2"
end):build()
task("publish"):depends_on("build"):command(function()
  print(version)
end):build()
)") == Warnings{"tasks.lua:4: task \"build\" assigns \"version\", which task \"publish\" reads "
                "(tasks.lua:7): it will not "
                "see that, as each task has variables of its own; return the value as an output instead"});
}

TEST_CASE("every kind of assignment counts, also inside inner functions") {
  for (const std::string assignment :
       {"x = v", "x = 's'", "x = 1", "x = nil", "x = x + 1", "(function() x = 2 end)()"}) {
    const Warnings warnings = warnings_of(
        "local x = 0\ntask('a'):command(function(v) " + assignment +
        " end):build()\ntask('b'):command(function() return function() return x end end):build()");
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find("tasks.lua:2: task \"a\" assigns \"x\", which task \"b\" reads (tasks.lua:3)") ==
          0);
  }
}

TEST_CASE("a global that one task assigns and another reads is told") {
  const Warnings warnings = warnings_of(R"(
task("a"):command(function() result = 1 end):build()
task("b"):command(function() print(result) end):build()
)");
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find(
            "tasks.lua:2: task \"a\" assigns \"result\", which task \"b\" reads (tasks.lua:3)") == 0);
}

TEST_CASE("handlers run in another place than their task") {
  const Warnings warnings = warnings_of(R"(
local count = 0
task("a"):command(function() count = count + 1 end):on_success(function() print(count) end):build()
)");
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("task \"a\" assigns \"count\", which on_success of task \"a\" reads") !=
        std::string::npos);
}

TEST_CASE("what is no mistake gives no warning") {
  // Assigned at file level only.
  CHECK(warnings_of(R"(
local root = "a"
root = root .. "b"
task("a"):command(function() print(root) end):build()
task("b"):command(function() print(root) end):build()
)")
            .empty());
  // One task, hooks included; handlers among each other.
  CHECK(warnings_of(R"(
local x, y
task("a"):pre_hook(function() x = 1 end):command(function() print(x) end)
  :on_success(function() y = 1 end):finally(function() print(y) end):build()
)")
            .empty());
  // Loop variables are new ones each time; locals of a task are its own.
  CHECK(warnings_of(R"(
for i = 1, 3 do
  local n = i
  task("t" .. i):command(function() n = n + 1 print(n) local z = n z = z + 1 return function() z = z + 1 end end):build()
end
)")
            .empty());
  // A helper that remembers for itself.
  CHECK(warnings_of(R"(
local cache
local function cached() if not cache then cache = 1 end return cache end
task("a"):command(function() return cached() end):build()
task("b"):command(function() return cached() end):build()
)")
            .empty());
}

TEST_CASE("lines are right in long functions") {
  std::string filler;
  for (int i = 0; i < 400; ++i) filler += "print(" + std::to_string(i) + ")\n";
  const Warnings warnings =
      warnings_of("local x\ntask('a'):command(function()\n" + filler +
                  "x = 1\nend):build()\ntask('b'):command(function() print(x) end):build()");
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("tasks.lua:403: task \"a\" assigns") == 0);
}

}  // namespace
}  // namespace sloth
