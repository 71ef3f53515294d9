// The world as a task sees it.
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

TEST_CASE("a task's env and workdir hold for it alone") {
  Sloth sloth;
  sloth.file("sub/here.txt", "found").file("tasks.lua", R"(
    task("a"):env({ COLOR = "blue" }):workdir("sub"):command(function(this)
      print(os.getenv("COLOR"), io.open("here.txt"):read("*a"), exec.run("echo $COLOR", { stream = false }).stdout)
    end):build()
    task("b"):depends_on("a"):command("echo [$COLOR] ${PWD##*/}"):build())");
  sloth.run("run").code(0).stdout_has("[a] blue\tfound\tblue").stdout_has("[b] [] sloth-e2e-");
}

TEST_CASE("this.workdir.ensure makes the directory and cleanup leaves it") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("a"):workdir("fresh"):command(function(this)
      print(this.workdir.exists(), this.workdir:ensure(), this.workdir.exists(), this.workdir.path == this.workdir.get())
      print(this.workdir.cleanup())
    end):build())");
  sloth.run("run").code(0).stdout_has("false\ttrue\ttrue\ttrue").stdout_has("left alone");
  CHECK(::access((sloth.directory() + "/fresh").c_str(), F_OK) == 0);
}

TEST_CASE("a string that is no name of the task cannot be called") {
  Sloth()
      .file("tasks.lua", "task(\"a\"):command(function() local s = \"x\" s() end):build()\n")
      .run("run")
      .code(1)
      .stdout_has("tasks.lua:1: attempt to call a string value");
}

TEST_CASE("a pool made at file level is refused in a task and in a handler, with the line that made it") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    goroutine.pool_create("x")
    goroutine.pool_submit("x", function() print("at file level") end)
    goroutine.pool_close("x")
    task("a"):command(function() goroutine.pool_submit("x", function() end) end)
      :on_failure(function() goroutine.pool_wait("x") end):build()
    task("b"):command(function()
      goroutine.pool_create("x")
      print(goroutine.pool_submit("x", function() end), goroutine.pool_close("x"), goroutine.pool_submit("y", print))
    end):build())");
  sloth.run("run -j 1 -k").code(1).stdout_has("at file level");
  sloth.stdout_has("tasks.lua:5: pool \"x\" was made at file level (tasks.lua:2); create it inside the task");
  sloth.stdout_has("on_failure of task \"a\": tasks.lua:6: pool \"x\" was made at file level");
  sloth.stdout_has("x-1\ttrue\tnil\tpool not found: y");
}

TEST_CASE("closures see each other's variables inside a task") {
  Sloth()
      .file("tasks.lua", R"(
    task("a"):command(function()
      local results, wg = {}, goroutine.wait_group()
      wg:add(3)
      for i = 1, 3 do goroutine.spawn(function() goroutine.sleep(1) results[i] = i * 10 wg:done() end) end
      wg:wait()
      print(results[1], results[2], results[3])
    end):build())")
      .run("run")
      .code(0)
      .stdout_has("10\t20\t30");
}

TEST_CASE("a library in a folder is found by require and by import") {
  Sloth()
      .file("lib/util.lua", "return { twice = function(n) return 2 * n end }")
      .file("tasks.lua", R"(
    local util = require("lib.util")
    local same = import("lib/util.lua")
    task("a"):command(function() print(util.twice(4), same.twice(5)) end):build())")
      .run("run")
      .code(0)
      .stdout_has("8\t10");
}

}  // namespace
}  // namespace sloth
