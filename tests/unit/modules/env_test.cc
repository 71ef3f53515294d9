#include "modules/env.h"

#include <catch2/catch.hpp>

#include "tests/unit/modules/task_lua.h"

namespace sloth {
namespace {

using testing::TaskLua;

struct EnvLua : TaskLua {
  EnvLua() { host.environment = {{"PATH", "/bin:/usr/bin"}, {"STAGE", "test"}, {"EMPTY", ""}}; }
};

TEST_CASE("variables are those of the task, never those of this process") {
  EnvLua lua;
  CHECK(lua.run(R"(
    return env.get("STAGE"), env.get("EMPTY"), env.get("HOME") == nil, env.get("HOME", "/none"), env.has("EMPTY"), env.has("HOME"),
      env.require("STAGE")
  )")
            .text() == R"("test" "" true "/none" true false "test")");
  CHECK(lua.run("local all, n = env.all(), 0 for _ in pairs(all) do n = n + 1 end return n, all.STAGE")
            .text() == R"(3 "test")");
}

TEST_CASE("a variable that must be there raises with the nearest name") {
  EnvLua lua;
  CHECK(lua.run("\nenv.require('STAEG')").error() ==
        "test.lua:2: environment variable \"STAEG\" is not set; did you mean \"STAGE\"?");
}

TEST_CASE("expand replaces variables, defaults and double dollars, and nothing else") {
  EnvLua lua;
  CHECK(lua.run(R"(
    return env.expand("${STAGE}/x-${STAGE}"), env.expand("${NONE:-d}"), env.expand("${EMPTY:-d}"), env.expand("[${EMPTY}]"),
      env.expand("$$5 $STAGE $"), env.expand(""), env.expand("${NONE:-}")
  )")
            .text() == R"("test/x-test" "d" "d" "[]" "$5 $STAGE $" "" "")");
  CHECK(lua.run("env.expand('${NONE}/x')").error() == "test.lua:1: environment variable \"NONE\" is not set");
  CHECK(lua.run("env.expand('${NONE')").error() == "test.lua:1: \"${\" without \"}\" in \"${NONE\"");
}

TEST_CASE("setting a variable is refused and says where to set it") {
  EnvLua lua;
  const auto ran = lua.run("env.STAGE = 'live'");
  CHECK(ran.error().starts_with(
      "test.lua:1: the environment of a task cannot be changed while it runs: set STAGE"));
}

TEST_CASE("the examples of env's description run") { testing::check_examples(env_module()); }

}  // namespace
}  // namespace sloth
