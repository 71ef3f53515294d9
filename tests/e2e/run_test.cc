// Running tasks: which ones, in which order, what they give each other.
#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

TEST_CASE("a task that is a shell command runs with its output shown under its name") {
  Sloth()
      .file("tasks.lua", R"(task("hello"):command("echo hello from ${PWD##*/}"):build())")
      .run("run")
      .code(0)
      .stdout_in_order({"▶ hello", "[hello] hello from sloth-e2e-", "✓ hello", "1 task: 1 succeeded"})
      .stderr_is_empty();
}

TEST_CASE("a task that is a function gets this, params and the outputs of its dependencies") {
  Sloth()
      .file("tasks.lua", R"(
    task("build"):command(function() return true, "built", { version = "1.2" } end):build()
    task("deploy"):depends_on("build"):params({ color = "blue" }):command(function(this, params, deps)
      print(this.name, this.name(), this.attempt, this.workdir.get() == params.workdir, this.workdir:exists())
      print(params.task_name, params.color, params.env, deps.build.version)
    end):build())")
      .run("run deploy -p env=staging -p color=red")
      .code(0)
      .stdout_in_order({"✓ build", "built", "[deploy] deploy\tdeploy\t1\ttrue\ttrue",
                        "[deploy] deploy\tred\tstaging\t1.2"});
}

TEST_CASE("tasks asked for by name run with what they need and nothing else") {
  Sloth()
      .file("tasks.lua", R"(
    task("a"):command("true"):build()
    task("b"):depends_on("a"):command("true"):build()
    task("c"):command("true"):build())")
      .run("run b")
      .code(0)
      .stdout_in_order({"✓ a", "✓ b", "2 tasks: 2 succeeded"})
      .stdout_lacks("c  ");
}

TEST_CASE("sloth TASK runs a task") {
  Sloth()
      .file("tasks.lua", R"(task("build"):command("echo built"):build())")
      .run("build")
      .code(0)
      .stdout_has("[build] built");
}

TEST_CASE("the file is found in the nearest directory above, and its directory is where tasks run") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(task("where"):command("pwd"):build())").in("deep/er").run("run").code(0);
  sloth.stdout_has("[where] " + sloth.directory() + "\n");
}

TEST_CASE("a first word that looks like a file is the file") {
  Sloth()
      .file("ci.lua", R"(task("ci"):command("echo ci ran"):build())")
      .file("tasks.lua", R"(task("other"):command("true"):build())")
      .run("run ci.lua ci")
      .code(0)
      .stdout_has("ci ran");
  Sloth()
      .file("sub/ci.sloth", R"(task("ci"):command("echo ci ran"):build())")
      .run("run -f sub/ci.sloth ci")
      .code(0)
      .stdout_has("ci ran");
}

TEST_CASE("tasks that do not depend on each other run at the same time, up to -j") {
  Sloth sloth;
  // Each waits for the other's file: with one job they could never end well.
  sloth.file("tasks.lua", R"(
    for _, pair in ipairs({ { "a", "b" }, { "b", "a" } }) do
      task(pair[1]):command("touch " .. pair[1] .. ".here; until [ -e " .. pair[2] .. ".here ]; do sleep 0.01; done")
        :timeout("20s"):build()
    end)");
  sloth.run("run -j 2").code(0).stdout_has("2 succeeded");
}

TEST_CASE("a file without tasks is a script") {
  Sloth()
      .file("hello.lua", R"(print("script", 1 + 1))")
      .run("run hello.lua")
      .code(0)
      .stdout_is("script\t2\n");
}

TEST_CASE("shared values are copied into each task and a changed table is told") {
  Sloth()
      .file("tasks.lua", R"(
    local list = { 1 }
    task("a"):command(function() list[#list + 1] = 2 return #list == 2 end):build()
    task("b"):depends_on("a"):command(function() return #list == 1 end):build())")
      .run("run")
      .code(0)
      .stdout_has("changed the table \"list\"");
}

TEST_CASE("a dry run shows the order and runs nothing") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("b"):depends_on("a"):command("touch b.done"):build()
    task("a"):description("first"):command(function() end):build())");
  sloth.run("run -n").code(0).stdout_in_order(
      {"would run 2 tasks", "  a  first", "  b  $ touch b.done  (after a)"});
  CHECK(sloth.content("b.done").empty());
  CHECK(sloth.content(".state/sloth/runs.db").empty());
}

}  // namespace
}  // namespace sloth
