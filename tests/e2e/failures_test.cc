// How failures look, and what they do to the rest of the run.
#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

TEST_CASE("a failure is shown again at the end with its place, source line and last output") {
  Sloth()
      .file("tasks.lua",
            "task(\"build\"):command(function()\n  print(\"compiling\")\n  error(\"boom\")\nend):build()\n")
      .run("run")
      .code(1)
      .stdout_in_order({"[build] compiling", "✗ build", "✗ build failed", "tasks.lua:3: boom",
                        "at tasks.lua:3", "3 |   error(\"boom\")", "| compiling",
                        "1 task: 0 succeeded, 1 failed"});
}

TEST_CASE("a failing command tells its exit code or signal and where it stands") {
  Sloth()
      .file("tasks.lua", R"(task("x"):command("echo bad; exit 3"):build())")
      .run("run")
      .code(1)
      .stdout_in_order({"command failed with exit code 3", "at tasks.lua:1", "| bad"});
  Sloth()
      .file("tasks.lua", R"(task("x"):command("kill -SEGV $$"):build())")
      .run("run")
      .code(1)
      .stdout_has("killed by SIGSEGV");
}

TEST_CASE("after a failure nothing starts and what did not run is listed") {
  Sloth()
      .file("tasks.lua", R"(
    task("a"):command("exit 1"):build()
    task("b"):depends_on("a"):command("true"):build()
    task("c"):depends_on("b"):command("true"):build()
    task("d"):command("true"):build())")
      .run("run -j 1")
      .code(1)
      .stdout_in_order({"- b  skipped (a failed)", "- c  skipped (a failed)", "- d  not started (a failed"})
      .stdout_has("4 tasks: 0 succeeded, 1 failed, 3 skipped");
}

TEST_CASE("run --keep-going runs everything that does not depend on a failure") {
  Sloth()
      .file("tasks.lua", R"(
    task("a"):command("exit 1"):build()
    task("b"):depends_on("a"):command("true"):build()
    task("d"):command("true"):build())")
      .run("run -j 1 --keep-going")
      .code(1)
      .stdout_has("3 tasks: 1 succeeded, 1 failed, 1 skipped");
}

TEST_CASE("the return values of a function mean what the page says") {
  Sloth()
      .file("tasks.lua", R"(
    task("nothing"):command(function() end):build()
    task("nil_alone"):command(function() return nil end):build()
    task("yes"):command(function() return true, "message", { changed = false } end):build()
    task("exit"):command(function() os.exit(0) end):build())")
      .run("run -k")
      .code(0)
      .stdout_has("✓ yes")
      .stdout_has("unchanged  message")
      .stdout_has("4 succeeded");
  Sloth()
      .file("tasks.lua", R"(
    task("no"):command(function() return false, "no disk" end):build()
    task("nil_message"):command(function() return nil, "no net" end):build()
    task("bare"):command(function() return false end):build()
    task("text"):command(function() return "done" end):build()
    task("exit"):command(function() os.exit(7) end):build()
    task("unsendable"):command(function() return true, "", { a = { b = { 1, 2, print } } } end):build()
    task("huge"):command(function() return true, "", { a = string.rep("x", 2000000) } end):build())")
      .run("run -k")
      .code(1)
      .stdout_has("no disk")
      .stdout_has("no net")
      .stdout_has("returned false without a message")
      .stdout_has("returned a string first")
      .stdout_has("os.exit(7)")
      .stdout_has("outputs.a.b[3] is a function")
      .stdout_has("7 failed");
}

TEST_CASE("errors of every type are described") {
  Sloth()
      .file("tasks.lua", R"(
    task("table"):command(function() error({ code = 3 }) end):build()
    task("nil"):command(function() error(nil) end):build()
    task("huge"):command(function() error(string.rep("x", 200000)) end):build())")
      .run("run -k")
      .code(1)
      .stdout_has("error object is a table value; raise a text, or a table with __tostring")
      .stdout_has("error(nil)")
      .stdout_has("bytes in all)");
}

TEST_CASE("an error in a goroutine that nobody awaits fails the task") {
  Sloth()
      .file("tasks.lua", R"(
    task("x"):command(function() goroutine.spawn(function() error("inner") end) return true end):build())")
      .run("run")
      .code(1)
      .stdout_has("tasks.lua:2: inner");
}

TEST_CASE("a failed attempt is repeated") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("flaky"):command("echo x >> tries; [ $(wc -l < tries) -ge 3 ]"):retries(3, { strategy = "fixed", delay = "10ms" })
      :build())");
  sloth.run("run").code(0).stdout_in_order(
      {"▶ flaky", "↻ flaky: attempt 1 failed", "▶ flaky (attempt 2)", "▶ flaky (attempt 3)", "✓ flaky"});
  CHECK(sloth.content("tries") == "x\nx\nx\n");
}

TEST_CASE("what a failed task left running is ended") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("x"):command("(trap '' HUP TERM; exec >/dev/null 2>&1; sleep 300) & echo $! > pid; exit 1"):build())");
  sloth.run("run").code(1);
  CHECK_FALSE(is_alive(sloth.content("pid")));
}

TEST_CASE("a task whose name is long and output without line end is still shown whole") {
  Sloth()
      .file("tasks.lua", R"(task("x"):command("printf 'no newline'"):build())")
      .run("run")
      .code(0)
      .stdout_has("[x] no newline\n");
}

TEST_CASE("an error that reads like os.exit is an error") {
  Sloth()
      .file("tasks.lua", R"lua(
    task("text"):command(function() error("os.exit(0)", 0) end):build()
    task("exit"):command(function() os.exit(0) end):build())lua")
      .run("run -k")
      .code(1)
      .stdout_has("✗ text failed")
      .stdout_has("✓ exit");
}

}  // namespace
}  // namespace sloth
