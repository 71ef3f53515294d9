// What happens to delegated tasks when processes die, links break and people leave: the F rows of docs/reliability.md.
#include <catch2/catch.hpp>

#include <csignal>
#include <string>

#include "tests/support/delegation.h"

namespace sloth {
namespace {

// Counts to 30, a line each 50 ms.
constexpr const char* kCounter = R"(
  task("count"):delegate_to("a"):command(function(this)
    for i = 1, 30 do print("line " .. i) io.stdout:flush() goroutine.sleep(50) end
    return true, "counted", { n = 30 }
  end):build())";

std::string all_lines(const char* prefix) {
  std::string text;
  for (int i = 1; i <= 30; ++i) text += std::string(prefix) + "line " + std::to_string(i) + "\n";
  return text;
}

TEST_CASE("F1: an agent killed under a running task finds it again, nothing is lost or said twice") {
  Agency agency;
  agency.master();
  Sloth& agent = agency.agent("a");
  agency.file("tasks.lua", kCounter);
  Sloth& home = agency.home();
  home.start("run --output stream").wait_for("line 5");
  agency.kill(agent);
  agency.agent("a");
  home.finish().code(0).stdout_is(all_lines(""));
}

TEST_CASE("F5: a master killed under a run is replaced, and the run goes on to its end") {
  Agency agency;
  Sloth& master = agency.master();
  agency.agent("a");
  agency.file("tasks.lua", kCounter);
  Sloth& home = agency.home();
  home.start("run --output stream").wait_for("line 5");
  agency.kill(master);
  home.finish().code(0).stdout_is(all_lines(""));
}

TEST_CASE("F7: an attempt process that is killed fails its task by name, and its tree is gone") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("victim"):delegate_to("a"):command("setsid sleep 1000 & echo pid $PPID; sleep 1000"):build())");
  Sloth& home = agency.home();
  home.start("run").wait_for("pid ").wait_for("\n");
  const std::string out = home.out();
  const std::size_t at = out.find("pid ");
  REQUIRE(::kill(static_cast<pid_t>(std::stoi(out.substr(at + 4))), SIGKILL) == 0);
  home.finish().code(1).stdout_has("attempt process died").stdout_has("SIGKILL");
}

TEST_CASE("F9: Ctrl-C once cancels what runs on agents, twice leaves and says how to come back") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("stubborn"):delegate_to("a"):command("trap '' TERM INT; echo up; sleep 1000"):build()
    task("kind"):delegate_to("a"):command(function() print("up") goroutine.sleep(1000000) end):build())");
  Sloth& home = agency.home();
  home.start("run kind").wait_for("up").signal(SIGINT).finish().code(130).stdout_has("cancelled");
  home.start("run stubborn").wait_for("up").signal(SIGINT).wait_for_error("interrupted: ending").signal(SIGINT).finish();
  home.code(130).stderr_has("sloth runs attach").stderr_has("sloth runs cancel ");
  const std::size_t at = home.err().find("sloth runs cancel ") + 18;
  home.run("runs cancel " + home.err().substr(at, 12)).code(0).stdout_has("cancelled");
}

TEST_CASE("a run that is killed leaves its attempt alone, attach shows all of it and its end") {
  Agency agency;
  agency.master();
  agency.agent("a");
  agency.file("tasks.lua", kCounter);
  Sloth& home = agency.home();
  home.start("run --output stream").wait_for("line 5").signal(SIGKILL).finish();
  home.run("runs list").code(0).stdout_has("broken off");
  const std::string id = home.out().substr(0, home.out().find(' '));
  home.run("runs attach " + id).code(0).stdout_has(all_lines("[count] ")).stdout_has("count");
}

TEST_CASE("runs cancel ends what a killed run left behind") {
  Agency agency;
  agency.master();
  agency.agent("a");
  agency.file("tasks.lua", R"(task("long"):delegate_to("a"):command("echo up; sleep 1000"):build())");
  Sloth& home = agency.home();
  home.start("run").wait_for("up").signal(SIGKILL).finish();
  home.run("runs list").code(0);
  const std::string id = home.out().substr(0, home.out().find(' '));
  home.run("runs cancel " + id).code(0).stdout_has("cancelled");
}

TEST_CASE("F10: SIGTERM lets an agent finish what it runs, refuse the rest and leave") {
  Agency agency;
  agency.master();
  Sloth& agent = agency.agent("a");
  agency.file("tasks.lua", kCounter);
  Sloth& home = agency.home();
  home.start("run --output stream").wait_for("line 3");
  agent.signal(SIGTERM).wait_for_error("draining");
  Sloth& other = agency.another();
  other.run("run --agent-wait 300ms").code(4).stdout_has("draining");
  home.finish().code(0).stdout_is(all_lines(""));
  agent.finish().code(0);
  home.run("agent list").stdout_has("offline");
}

TEST_CASE("F11: a drain that takes too long cancels, and the agent leaves clean") {
  Agency agency;
  agency.master();
  Sloth& agent = agency.agent("a", "--drain-timeout 300ms");
  agency.file("tasks.lua", R"(task("long"):delegate_to("a"):command("echo up; sleep 1000"):build())");
  Sloth& home = agency.home();
  home.start("run").wait_for("up");
  agent.signal(SIGTERM);
  home.finish().code(1).stdout_has("cancelled");
  agent.finish().code(0);
}

TEST_CASE("F20: a cancel ends a tree that ignores SIGTERM and has left its session, before it is told") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("x"):delegate_to("a"):command("(trap '' TERM; setsid sh -c 'sleep 1000 & sleep 1000' &) ; echo up; sleep 1000"):build())");
  agency.home().start("run").wait_for("up").signal(SIGINT).finish().code(130).stdout_has("cancelled");
}

TEST_CASE("F41: a child that holds the output open does not hold the task, and does not outlive it") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(task("x"):delegate_to("a"):command("sleep 1000 & echo done"):build())");
  agency.home().run("run").code(0).stdout_has("done");
  CHECK(agency.home().seconds() < 20);
}

TEST_CASE("two thousand short commands on an agent lose no byte") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("many"):delegate_to("a"):command(function()
      for i = 1, 2000 do exec.run({ "printf", "%d.", tostring(i) }) end
    end):build())");
  std::string expected;
  for (int i = 1; i <= 2000; ++i) expected += std::to_string(i) + ".";
  agency.home().run("run --output stream").code(0).stdout_is(expected);
}

}  // namespace
}  // namespace sloth
