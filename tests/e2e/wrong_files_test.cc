// Files that are wrong: exit 2, place and cure, and nothing ran.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

// Runs a file whose top level would leave a mark if it ran, and task code too.
void refused(const std::string& text, std::initializer_list<std::string_view> told) {
  Sloth sloth;
  sloth.file("tasks.lua", text).run("run").code(2).stdout_is("");
  for (const std::string_view part : told) sloth.stderr_has(part);
  CHECK(sloth.content("ran").empty());
  sloth.run("check").code(2);
}

TEST_CASE("a syntax error is told with its line") {
  refused("local x = 1\ntask(\"a\") oops = = 2\n", {"tasks.lua:2:", "oops = = 2"});
}

TEST_CASE("an error at file level is told with its line") {
  refused("local t = nil\nprint2(t)\n", {"tasks.lua:2:", "print2"});
}

TEST_CASE("a mistyped method is told with the nearest name") {
  refused("task(\"a\"):comand(\"touch ran\"):build()\n", {"tasks.lua:1", "comand", "command"});
}

TEST_CASE("an unknown dependency is told with the nearest name") {
  refused(
      "task(\"build\"):command(\"touch ran\"):build()\ntask(\"b\"):depends_on(\"buidl\"):command(\"touch "
      "ran\"):build()\n",
      {"tasks.lua:2", "buidl", "did you mean \"build\"?"});
}

TEST_CASE("a cycle is told as a path") {
  refused(
      "task(\"a\"):depends_on(\"b\"):command(\"touch "
      "ran\"):build()\ntask(\"b\"):depends_on(\"a\"):command(\"true\"):build()\n",
      {"a -> b -> a"});
}

TEST_CASE("a name used twice is told with both places") {
  refused("task(\"a\"):command(\"touch ran\"):build()\ntask(\"a\"):command(\"true\"):build()\n",
          {"tasks.lua:2", "tasks.lua:1"});
}

TEST_CASE("a bad duration is told with the forms") {
  refused("task(\"a\"):command(\"touch ran\"):timeout(\"5 minutes\"):build()\n",
          {"tasks.lua:1", "5 minutes", "1h30m"});
  refused("task(\"a\"):command(\"touch ran\"):timeout(0):build()\n", {"tasks.lua:1"});
}

TEST_CASE("bytecode is refused") { refused("\x1bLJ\x02", {"bytecode is not accepted"}); }

TEST_CASE("all problems are told at once") {
  refused(
      "task(\"a\"):command(\"true\"):timeout(\"x\"):build()\ntask(\"b\"):command(\"true\"):timeout(\"y\"):"
      "build()\n",
      {"tasks.lua:1", "tasks.lua:2"});
}

TEST_CASE("a file that is none is told by its kind and does not block") {
  Sloth directory;
  directory.in("tasks.lua").in("").run("run tasks.lua").code(2).stderr_has("is a directory");
  Sloth fifo;
  REQUIRE(::mkfifo((fifo.directory() + "/pipe.lua").c_str(), 0600) == 0);
  fifo.run("run pipe.lua").code(2).stderr_has("FIFO");
  Sloth().run("run nothing.lua").code(2).stderr_has("nothing.lua").stderr_has("no such file");
  Sloth().run("run /dev/zero").code(2).stderr_has("/dev/zero");
  Sloth().run("run").code(2).stderr_has("no task file");
}

TEST_CASE("a file of a hundred megabytes is refused without being read") {
  Sloth sloth;
  sloth.file("tasks.lua", "-- large\n");
  REQUIRE(::truncate((sloth.directory() + "/tasks.lua").c_str(), 100 << 20) == 0);
  sloth.run("run").code(2).stderr_has("8 MiB");
  CHECK(sloth.seconds() < 2);
}

TEST_CASE("a byte order mark, carriage returns and a first line for the shell are accepted") {
  Sloth()
      .file(
          "tasks.lua",
          "\xef\xbb\xbf#!/usr/bin/env sloth\r\ntask(\"a\"):command(function() error(\"x\") end):build()\r\n")
      .run("run")
      .code(1)
      .stdout_has("tasks.lua:2: x");
}

TEST_CASE("a capture that cannot be sent is told before anything runs") {
  refused(
      "local co = coroutine.create(function() end)\ntask(\"a\"):command(function() return co end):build()\n",
      {"task \"a\"", "co"});
}

TEST_CASE("a mistyped method, an unknown dependency and a cycle are told in one go") {
  refused(
      "task(\"build\"):command(\"touch ran\"):build()\n"
      "task(\"a\"):depends_on(\"biuld\"):command(\"touch ran\"):build()\n"
      "task(\"b\"):depends_on(\"c\"):command(\"touch ran\"):build()\n"
      "task(\"c\"):depends_on(\"b\"):command(\"touch ran\"):build()\n"
      "task(\"d\"):comand(\"touch ran\"):build()\n",
      {"tasks.lua:2: task \"a\": unknown dependency \"biuld\"; did you mean \"build\"?", "  2 | task(\"a\")",
       "tasks.lua:3: tasks depend on each other: b -> c -> b",
       "tasks.lua:5: task \"d\": \"comand\" is unknown"});
}

TEST_CASE("a dependency that was never built is told once") {
  Sloth sloth;
  sloth.file("tasks.lua",
             "task(\"a\"):command(\"true\")\ntask(\"b\"):depends_on(\"a\"):command(\"true\"):build()\n");
  sloth.run("run").code(2).stderr_has("never built").stderr_lacks("unknown dependency");
}

TEST_CASE("an empty file is told so") { refused(" \n", {"tasks.lua: the file is empty"}); }

}  // namespace
}  // namespace sloth
