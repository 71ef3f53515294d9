// Conditions and hooks, of tasks and of workflows.
#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

TEST_CASE("run_if skips with its reason, as function and as command") {
  Sloth()
      .file("tasks.lua", R"(
    task("no"):run_if(function(this, params) return false, this.name .. " is not wanted" end):command("echo RAN"):build()
    task("shell_no"):run_if("test -e missing"):command("echo RAN"):build()
    task("yes"):run_if("true"):command("echo wanted"):build())")
      .run("run --verbose")
      .code(0)
      .stdout_lacks("RAN")
      .stdout_has("[yes] wanted")
      .stdout_has("- no  skipped (no is not wanted)")
      .stdout_has("- shell_no  skipped")
      .stdout_has("3 tasks: 1 succeeded, 2 skipped");
}

TEST_CASE("abort_if fails the run") {
  Sloth()
      .file("tasks.lua", R"(
    task("deploy"):abort_if(function() return true, "freeze" end):command("echo RAN"):build()
    task("other"):command("echo RAN"):build())")
      .run("run -j 1 -k")
      .code(1)
      .stdout_lacks("[other] RAN")
      .stdout_lacks("[deploy] RAN")
      .stdout_has("aborted: freeze");
}

TEST_CASE("hooks of a task run around it, where they belong") {
  Sloth()
      .file("tasks.lua", R"(
    local calls = 0
    task("x")
      :pre_hook(function(this, params, deps) print("pre", this.name, params.task_name) shared = "kept" end)
      :command(function() print("command", shared) return true, "m", { n = 1 } end)
      :post_hook(function(this, params, output) print("post", output.n) end)
      :on_success(function(this, params, output) calls = calls + 1 print("success", this.name, output.n) end)
      :finally(function(this, params, outcome) print("finally", calls, outcome.outcome, outcome.attempts) end)
      :build())")
      .run("run")
      .code(0)
      .stdout_in_order({"[x] pre\tx\tx", "[x] command\tkept", "[x] post\t1", "[x] success\tx\t1",
                        "[x] finally\t1\tsucceeded\t1", "✓ x"});
}

TEST_CASE("what a condition or handler prints or logs has its task's name in front, however they mix") {
  Sloth()
      .file("tasks.lua", R"(
    print("loading")
    for _, name in ipairs({ "a", "b" }) do
      task(name):run_if(function(this) print("asked " .. name) return true end):command("true")
        :on_success(function()
          goroutine.sleep(5)
          log.info("logged " .. name)
          goroutine.spawn(function() goroutine.sleep(2) print("late " .. name) end)
        end):build()
    end)")
      .run("run -j 2")
      .code(0)
      .stdout_lacks("] loading")
      .stdout_has("[a] asked a")
      .stdout_has("[b] asked b")
      .stdout_has("[a] logged a")
      .stdout_has("[b] logged b")
      .stdout_has("[a] late a")
      .stdout_has("[b] late b");
}

TEST_CASE("a failing pre_hook or post_hook fails the task") {
  Sloth()
      .file("tasks.lua", R"(
    task("a"):pre_hook(function() return false, "not ready" end):command("echo RAN"):build()
    task("b"):command("true"):post_hook(function() return false, "still warm" end):build())")
      .run("run -k")
      .code(1)
      .stdout_lacks("[a] RAN")
      .stdout_has("pre_hook: not ready")
      .stdout_has("post_hook: still warm");
}

TEST_CASE("on_failure and finally run once after the last retry, their errors come second") {
  Sloth()
      .file("tasks.lua", R"(
    task("x"):command(function() error("first") end):retries(1, { delay = "1ms" })
      :on_failure(function(this, params, info) print("failed", info.task_name, info.error) error("second") end)
      :finally(function(this, params, outcome) print("finally", outcome.outcome, outcome.success) end)
      :build())")
      .run("run")
      .code(1)
      .stdout_in_order({"attempt 1 failed", "failed\tx\ttasks.lua:2: first", "finally\tfailed\tfalse",
                        "✗ x failed", "tasks.lua:2: first", "on_failure of task \"x\": tasks.lua:3: second"});
}

TEST_CASE("on_timeout is told the error") {
  Sloth()
      .file("tasks.lua", R"(
    task("x"):command("sleep 60"):timeout("100ms")
      :on_timeout(function(this, params, info) print("late", info.error) end):build())")
      .run("run")
      .code(1)
      .stdout_has("late\ttimed out after 100ms");
}

TEST_CASE("a workflow's hooks frame its tasks") {
  Sloth()
      .file("tasks.lua", R"(
    local a = task("a"):command("echo in a"):build()
    workflow.define("w"):tasks({ a }):on_start(function() print("start") end)
      :on_complete(function(success, results) print("complete", success, results.a.success) end))")
      .run("run")
      .code(0)
      .stdout_in_order({"start", "[a] in a", "complete\ttrue\ttrue"});
}

TEST_CASE("run --workflow picks one of several") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    local a = task("a"):command("echo A"):build()
    local b = task("b"):command("echo B"):build()
    workflow.define("one", { tasks = { a } })
    workflow.define("two", { tasks = { b } }))");
  sloth.run("run").code(0).stdout_in_order({"[a] A", "[b] B"});
  sloth.run("run --workflow two").code(0).stdout_has("[b] B").stdout_lacks("[a] A");
  sloth.run("run --workflow tow").code(2).stderr_has("did you mean \"two\"?");
}

TEST_CASE("the error of a handler is told once") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("x"):command("exit 3")
      :on_failure(function() error("handler broke") end):build())");
  sloth.run("run").code(1);
  const std::size_t first = sloth.out().find("handler broke");
  REQUIRE(first != std::string::npos);
  CHECK(sloth.out().find("handler broke", first + 1) == std::string::npos);
  sloth.run("run --output json").code(1).stdout_has("handler broke");
}

}  // namespace
}  // namespace sloth
