// Timeouts and Ctrl-C.
#include <csignal>

#include <catch2/catch.hpp>

#include "tests/support/sanitizer.h"
#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

using testing::kSignalsAreHeldBack;

TEST_CASE("a timeout ends a command with everything it started") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(task("x"):command("sleep 300 & echo $! > pid; wait"):timeout("300ms"):build())");
  sloth.run("run").code(1).stdout_has("timed out after 300ms");
  CHECK(sloth.seconds() < 20);
  CHECK_FALSE(is_alive(sloth.content("pid")));
}

TEST_CASE("a timeout ends an endless loop that catches errors") {
  Sloth()
      .file("tasks.lua", R"(
    task("x"):command(function() while true do pcall(function() end) end end):timeout("200ms"):build())")
      .run("run")
      .code(1)
      .stdout_has("✗ x timed out");
}

TEST_CASE("a timeout ends an endless loop that calls nothing") {
  if (kSignalsAreHeldBack) return;
  Sloth()
      .file("tasks.lua", R"(task("x"):command(function() while true do end end):timeout("200ms"):build())")
      .run("run")
      .code(1)
      .stdout_has("✗ x timed out");
}

TEST_CASE("run --timeout bounds the whole run") {
  Sloth()
      .file("tasks.lua", R"(
    task("a"):command("sleep 300"):build()
    task("b"):depends_on("a"):command("true"):build())")
      .run("run --timeout 300ms")
      .code(124)
      .stdout_has("the run timed out after 300ms")
      .stdout_has("2 cancelled");
}

TEST_CASE("as many endless loops as may run at once do not starve the run's own limit") {
  if (kSignalsAreHeldBack) return;
  Sloth()
      .file("tasks.lua", R"(
    for i = 1, 4 do task("t" .. i):command(function() while true do end end):build() end)")
      .run("run -j 4 --timeout 500ms")
      .code(124)
      .stdout_has("4 cancelled");
}

TEST_CASE("Ctrl-C once cancels, cleans up, sums up and gives 130") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("server"):command("sleep 300 & echo $! > pid; echo up; wait")
      :finally(function(this, params, outcome) print("finally", outcome.outcome) end):build()
    task("next"):depends_on("server"):command("echo RAN"):build())");
  sloth.start("run").wait_for("up").signal(SIGINT).finish().code(130);
  sloth.stderr_has("interrupted")
      .stdout_has("finally\tcancelled")
      .stdout_has("cancelled")
      .stdout_lacks("RAN");
  CHECK_FALSE(is_alive(sloth.content("pid")));
}

TEST_CASE("Ctrl-C raises in a waiting task, whose cleanup runs") {
  Sloth()
      .file("tasks.lua", R"(
    task("x"):command(function()
      local ok, problem = pcall(function() print("waiting") goroutine.sleep(300000) end)
      print("cleanup", ok)
      error(problem, 0)
    end):build())")
      .start("run")
      .wait_for("waiting")
      .signal(SIGINT)
      .finish()
      .code(130)
      .stdout_has("cleanup\tfalse");
}

TEST_CASE("Ctrl-C twice leaves within a second and says what may still run") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("stubborn"):command("trap '' TERM INT; echo up; while :; do sleep 1; done"):build())");
  sloth.start("run")
      .wait_for("up")
      .signal(SIGINT)
      .wait_for_error("interrupted: ending")
      .signal(SIGINT)
      .finish();
  sloth.code(130).stderr_has("interrupted again").stderr_has("stubborn");
}

TEST_CASE("Ctrl-C while the file loads ends the program") {
  Sloth()
      .file("tasks.lua", "print(\"loading\") goroutine.sleep(300000)\n")
      .start("run")
      .wait_for("loading")
      .signal(SIGINT)
      .finish()
      .code(130);
}

TEST_CASE("Ctrl-C ends endless loops, and what they have to finish runs") {
  if (kSignalsAreHeldBack) return;
  Sloth()
      .file("tasks.lua", R"(
    for i = 1, 2 do
      task("loop" .. i):command(function() print("spinning") while true do end end)
        :finally(function(this, params, outcome) print(this.name .. " is " .. outcome.outcome) end):build()
    end)")
      .start("run -j 2")
      .wait_for("▶ loop2")
      .wait_for("spinning")
      .signal(SIGINT)
      .finish()
      .code(130)
      .stdout_has("loop1 is cancelled")
      .stdout_has("loop2 is cancelled");
}

TEST_CASE("Ctrl-C ends an endless loop at file level") {
  if (kSignalsAreHeldBack) return;
  Sloth()
      .file("tasks.lua", "print(\"loading\") while true do end\n")
      .start("run")
      .wait_for("loading")
      .signal(SIGINT)
      .finish()
      .code(130);
}

// A pattern that tries for hours, in one call of C code.
constexpr const char* kBomb =
    "print(\"up\") local text = (\"a\"):rep(60000) return text:find(\".-.-.-.-b\") ~= nil";

TEST_CASE("a task inside one endless call of C code times out, and its handlers run") {
  Sloth sloth;
  sloth.file("tasks.lua", std::string(R"(
    task("x"):timeout("100ms"):retries(3):command(function() )") +
                              kBomb + R"( end)
      :on_failure(function() print("handled") end):build()
    task("y"):command("echo RAN"):build())");
  sloth.run("run -j 1 --keep-going").code(1).stdout_has("still inside one call").stdout_has("handled");
  sloth.stdout_has("✗ x timed out").stdout_has("not started (x could not be ended)").stdout_lacks("RAN");
  CHECK(sloth.seconds() < 30);
}

TEST_CASE("run --timeout ends a run of which a task is inside one endless call of C code") {
  Sloth sloth;
  sloth.file("tasks.lua", std::string(R"(task("x"):command(function() )") + kBomb + " end):build()");
  sloth.run("run --timeout 100ms").code(124).stdout_has("still inside one call");
  sloth.stdout_has("the run timed out after 100ms");
  CHECK(sloth.seconds() < 30);
}

TEST_CASE("Ctrl-C ends a run of which a task is inside one endless call of C code, with its processes") {
  Sloth sloth;
  sloth.file("tasks.lua", std::string(R"(task("x"):command(function()
    goroutine.spawn(function() exec.run("echo $$ > pid; exec sleep 300") end)
    goroutine.sleep(1)
    while not fs.exists("pid") do goroutine.sleep(5) end
    )") + kBomb + " end):build()");
  sloth.start("run").wait_for("up").signal(SIGINT).finish().code(130).stdout_has("still inside one call");
  CHECK_FALSE(is_alive(sloth.content("pid")));
  CHECK(sloth.seconds() < 30);
}

TEST_CASE("Ctrl-C ends the loading of a file that is inside one endless call of C code") {
  Sloth sloth;
  sloth.file("tasks.lua", std::string("local function bomb() ") + kBomb + " end bomb()");
  sloth.start("run").wait_for("up").signal(SIGINT).finish().code(130);
}

}  // namespace
}  // namespace sloth
