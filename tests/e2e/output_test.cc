// What is printed, where, and what happens when nobody reads.
#include <cstdlib>

#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

const char kTask[] = R"(task("t"):command("echo out; echo err >&2"):build())";

TEST_CASE("run --output json prints one event per line and nothing else") {
  Sloth sloth;
  sloth.file("tasks.lua", kTask).run("run --output json").code(0).stderr_is_empty();
  sloth.stdout_in_order({R"("type":"run.start")", R"("type":"task.start")", R"("text":"out\n")",
                         R"("type":"task.end")", R"("type":"run.end")"});
  std::size_t at = 0;
  for (std::size_t end; (end = sloth.out().find('\n', at)) != std::string::npos; at = end + 1) {
    CHECK(sloth.out()[at] == '{');
    CHECK(sloth.out()[end - 1] == '}');
  }
  CHECK(at == sloth.out().size());
}

TEST_CASE("run --output stream passes output through byte for byte") {
  Sloth()
      .file("tasks.lua", kTask)
      .run("run --output stream")
      .code(0)
      .stdout_is("out\n")
      .stderr_has("err\n")
      .stderr_has("✓ t");
}

TEST_CASE("run --quiet shows only failures") {
  Sloth().file("tasks.lua", kTask).run("run -q").code(0).stdout_is("").stderr_is_empty();
  Sloth()
      .file("tasks.lua", R"(task("t"):command("echo why; exit 1"):build())")
      .run("run -q")
      .code(1)
      .stdout_has("✗ t failed")
      .stdout_has("| why");
}

TEST_CASE("no escape sequences without a terminal") {
  Sloth().file("tasks.lua", kTask).run("run").code(0).stdout_lacks("\x1b[");
}

TEST_CASE("binary output arrives whole in the events and in the stream") {
  Sloth()
      .file("tasks.lua", R"(task("t"):command("printf '\\377\\000\\001'"):build())")
      .run("run --output json")
      .code(0)
      .stdout_has(R"("base64":"/wAB")");
}

TEST_CASE("a reader that goes away does not end the run") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("a"):command("seq 1 200000"):build()
    task("b"):depends_on("a"):command("touch b.done"):build())");
  // `head` leaves after one line; the run's own exit code is kept in a file.
  const std::string command =
      "cd " + sloth.directory() +
      " && XDG_STATE_HOME=$PWD/.state sh -c '\"$SLOTH_BINARY\" run; echo $? > code' | head -1 > /dev/null";
  CHECK(std::system(command.c_str()) == 0);
  CHECK(sloth.content("code") == "0\n");
}

TEST_CASE("much output passes in bounded time") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(task("t"):command("seq 1 300000"):build())")
      .run("run")
      .code(0)
      .stdout_has("[t] 300000\n");
}

TEST_CASE("log lines carry severity and fields") {
  Sloth()
      .file("tasks.lua", R"(task("t"):command(function()
      log.debug("hidden") log.info("info", { a = 1 }) log.warn("careful") log.error("bad") log.success("good")
    end):build())")
      .run("run")
      .code(0)
      .stdout_lacks("hidden")
      .stdout_has("[t] info a=1")
      .stdout_has("warning: careful")
      .stdout_has("error: bad")
      .stdout_has("✓ good");
}

}  // namespace
}  // namespace sloth
