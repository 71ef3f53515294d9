// sloth runs resume: a run goes on in another process than the one that began it.
#include <catch2/catch.hpp>

#include <chrono>
#include <csignal>
#include <string>

#include "tests/support/delegation.h"

namespace sloth {
namespace {

// Of the newest run.
std::string run_id(Sloth& home) {
  home.run("runs list").code(0);
  return home.out().substr(0, home.out().find(' '));
}

// Until the newest run's record speaks of the task; ten seconds at most.
void wait_for_record(Agency& agency, const std::string& task) {
  Sloth& looker = agency.another();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (looker.run("runs show").out().find("  " + task + " ") == std::string::npos) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
  }
}

TEST_CASE("a run that was killed goes on: nothing that was done or is under way starts again") {
  Agency agency;
  agency.master();
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("first"):command("echo x >> first.txt"):build()
    task("facts"):command(function() return true, "known", { n = 42, list = { 1, 2 } } end):build()
    task("count"):depends_on("first"):depends_on("facts"):delegate_to("a"):command(function(this, params, deps)
      local f = io.open(params.home .. "/count.txt", "a") f:write("x\n") f:close()
      for i = 1, 30 do print("line " .. i) io.stdout:flush() goroutine.sleep(50) end
      return true, "counted", { total = 30 + deps.facts.n }
    end):build()
    task("last"):depends_on("count"):depends_on("facts"):command(function(this, params, deps)
      print("total " .. deps.count.total .. ", n " .. deps.facts.n .. ", of " .. #deps.facts.list)
    end):build())");
  Sloth& home = agency.home();
  home.start("run -p home=" + home.directory()).wait_for("line 5").signal(SIGKILL).finish();
  const std::string id = run_id(home);
  home.stdout_has("broken off");
  home.in("elsewhere").file("elsewhere/file", "").run("runs resume " + id).code(0);
  home.stderr_has("resuming run " + id + ": 2 tasks done before");
  home.stdout_in_order({"first  done before", "count", "attempt 1 was on a already", "[count] line 1\n",
                        "[count] line 30\n", "total 72, n 42, of 2", "4 tasks: 4 succeeded"});
  home.in("");
  CHECK(home.content("first.txt") == "x\n");
  CHECK(home.content("count.txt") == "x\n");
  home.run("runs show " + id).code(0).stdout_has(", ok").stdout_lacks("running");
  std::string lines;
  for (int i = 1; i <= 30; ++i) lines += "line " + std::to_string(i) + "\n";
  home.run("runs show " + id + " count").code(0).stdout_is(lines);
  home.run("runs resume " + id).code(0).stdout_has("nothing left to do");
  CHECK(home.content("first.txt") == "x\n");
}

TEST_CASE("a run that was killed with the master in it goes on, and is the master again") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("count"):delegate_to("a"):command(function(this, params)
      local f = io.open(params.home .. "/count.txt", "a") f:write("x\n") f:close()
      for i = 1, 30 do print("line " .. i) io.stdout:flush() goroutine.sleep(50) end
    end):build())");
  Sloth& home = agency.home();
  home.start("run -p home=" + home.directory()).wait_for("line 5").signal(SIGKILL).finish();
  home.run("runs resume " + run_id(home))
      .code(0)
      .stdout_has("[count] line 1\n")
      .stdout_has("[count] line 30\n");
  CHECK(home.content("count.txt") == "x\n");
}

TEST_CASE(
    "a local task dies with its run: what it had started is ended, and it runs again as the next attempt") {
  Agency agency;
  agency.file("tasks.lua", R"(
    task("done"):command("echo x >> done.txt"):build()
    task("long"):depends_on("done"):command("echo $$ > pid.$SLOTH_RUNS; test -e go && exit; echo up; sleep 1000"):build())");
  Sloth& home = agency.home();
  home.env("SLOTH_RUNS", "1").start("run").wait_for("up");
  wait_for_record(agency, "long");
  home.signal(SIGKILL).finish();
  const std::string left = home.content("pid.1");
  CHECK(is_alive(left.substr(0, left.find('\n'))));
  home.file("go", "");
  home.env("SLOTH_RUNS", "2").run("runs resume " + run_id(home)).code(0);
  home.stderr_has("long: attempt 1 ended with its process")
      .stdout_has("long (attempt 2)")
      .stdout_has("done before");
  CHECK_FALSE(is_alive(left.substr(0, left.find('\n'))));
  CHECK(home.content("done.txt") == "x\n");
}

TEST_CASE("what failed runs again when its file was mended, and nothing else") {
  Agency agency;
  agency.agent("a");
  const std::string text = R"(
    task("done"):command("echo x >> done.txt"):build()
    task("there"):delegate_to("a"):command(function(this, params)
      local f = io.open(params.home .. "/there.txt", "a") f:write("x\n") f:close()
      -- What JSON cannot keep comes from the agent.
      return true, "", { bytes = "\255" }
    end):build()
    task("broken"):depends_on("done"):depends_on("there"):delegate_to("a"):command(function(this, params, deps)
      if #deps.there.bytes == 1 then print("attempt " .. this.attempt) end
      return ANSWER
    end):build())";
  const auto with = [&](const std::string& answer) {
    std::string mended = text;
    return mended.replace(mended.find("ANSWER"), 6, answer);
  };
  Sloth& home = agency.home();
  home.file("tasks.lua", with("false, 'not yet'")).run("run -p home=" + home.directory()).code(1);
  const std::string id = run_id(home);
  home.run("runs resume " + id).code(1).stdout_has("broken (attempt 2)").stdout_has("not yet");
  home.file("tasks.lua", with("true")).run("runs resume " + id).code(0).stdout_has("attempt 3");
  CHECK(home.content("done.txt") == "x\n");
  CHECK(home.content("there.txt") == "x\n");
}

TEST_CASE("of several agents, those on which the task succeeded are left alone") {
  Agency agency;
  agency.agent("a");
  agency.agent("b");
  agency.file("tasks.lua", R"(
    task("each"):delegate_to("a", "b"):command(function(this, params)
      local f = io.open(params.home .. "/" .. this.agent .. ".txt", "a") f:write("x\n") f:close()
      if this.agent == "b" and not fs.exists(params.home .. "/go") then return false, "not yet" end
      return true, "", { from = this.agent }
    end):build()
    task("after"):depends_on("each"):command(function(this, params, deps)
      print("from " .. deps.each.a.from .. " and " .. deps.each.b.from)
    end):build())");
  Sloth& home = agency.home();
  home.run("run -p home=" + home.directory()).code(1).stdout_has("1 of 2 agents");
  home.file("go", "").run("runs resume " + run_id(home)).code(0).stdout_has("from a and b");
  CHECK(home.content("a.txt") == "x\n");
  CHECK(home.content("b.txt") == "x\nx\n");
}

TEST_CASE("a run that still runs is not resumed, an unknown one is named") {
  Agency agency;
  agency.file("tasks.lua", R"(task("long"):command("echo up; sleep 1000"):build())");
  Sloth& home = agency.home();
  home.start("run").wait_for("up");
  wait_for_record(agency, "long");
  Sloth& other = agency.another();
  const std::string id = run_id(other);
  other.run("runs resume " + id).code(2).stderr_has("still running").stderr_has("sloth runs attach " + id);
  other.run("runs resume nothing").code(2).stderr_has("no run \"nothing\"");
  home.signal(SIGINT).finish().code(130);
  home.file("tasks.lua", R"(task("long"):command("true"):build())").run("runs resume " + id).code(0);
}

}  // namespace
}  // namespace sloth
