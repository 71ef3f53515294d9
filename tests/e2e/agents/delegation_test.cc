// Tasks on agents: the same as here, and nothing lost on the way.
#include <catch2/catch.hpp>

#include <csignal>
#include <string>

#include "tests/support/delegation.h"

namespace sloth {
namespace {

TEST_CASE("two commands: an agent, and a run whose tasks go there") {
  Agency agency;
  agency.agent("mariguica");
  agency.file("tasks.lua", R"(
    task("hello"):delegate_to("mariguica"):command(function(this, params)
      log.info("hello from " .. this.agent)
      return true, "done", { where = this.agent, n = 3 }
    end):build()
    task("after"):depends_on("hello"):command(function(this, params, deps)
      print("got", deps.hello.where, deps.hello.n, this.agent)
      return true
    end):build())");
  agency.home().run("run").code(0).stdout_has("hello from mariguica").stdout_has("got\tmariguica\t3\t");
}

TEST_CASE("a delegated run says and does what a local one says and does") {
  Agency agency;
  agency.agent("a");
  agency.file("values.yaml", "greeting: hi\n").file("tasks.lua", R"(
    local shared = { list = { 1, 2, 3 }, word = "captured" }
    local function double(x) return x * 2 end
    task("first"):delegate_to("a"):params({ size = "big" }):env({ COLOR = "blue" }):command(function(this, params)
      print(shared.word, #shared.list, double(21), params.size, params.who, values.greeting, os.getenv("COLOR"))
      io.stderr:write("to stderr\n")
      exec.run("echo from a shell; echo and its stderr >&2")
      return true, "fine", { deep = { 1, { x = "y" } }, size = params.size }
    end):build()
    task("second"):depends_on("first"):delegate_to("a"):command(function(this, params, deps)
      print(deps.first.deep[2].x, deps.first.size)
      local wg = goroutine.wait_group()
      local sum = 0
      for i = 1, 100 do wg:add(1) goroutine.spawn(function() goroutine.sleep(1) sum = sum + i wg:done() end) end
      wg:wait()
      print("sum", sum)
    end):build()
    task("bad"):depends_on("second"):delegate_to("a"):command(function() error("it broke") end):build()
    task("never"):depends_on("bad"):command("true"):build())");
  const std::string words = " -v values.yaml -p who=me --output stream";
  Sloth& home = agency.home();
  home.run("run --local" + words).code(1);
  const std::string out = home.out();
  home.run("run" + words).code(1).stdout_is(out);
  home.stderr_has("to stderr").stderr_has("and its stderr").stderr_has("it broke").stderr_has("tasks.lua:18").stderr_has("never");
  home.stdout_has("captured\t3\t42\tbig\tme\thi\tblue").stdout_has("sum\t5050").stdout_has("y\tbig");
}

TEST_CASE("output is byte-exact: binary, without newline, a line of one MiB, both streams") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("out"):delegate_to("a"):command(function()
      local all = {}
      for i = 0, 255 do all[#all + 1] = string.char(i) end
      io.write(table.concat(all), ("x"):rep(1024 * 1024), "\n", "no newline")
      exec.run("printf 'a\\000b\\377'; printf 'err\\001' >&2")
    end):build())");
  Sloth& home = agency.home();
  home.run("run --local --output stream").code(0);
  const std::string out = home.out();
  home.run("run --output stream").code(0);
  CHECK(out.size() > 1024 * 1024);
  CHECK(home.out() == out);
  home.stderr_has(std::string("err\001"));
}

TEST_CASE("the ends of delegated tasks have the exit codes of local ones") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("slow"):delegate_to("a"):timeout("300ms"):command(function() while true do end end):build()
    task("sleepy"):delegate_to("a"):timeout("300ms"):command("sleep 60"):build()
    task("says"):delegate_to("a"):command(function() return false, "not today" end):build()
    task("shell"):delegate_to("a"):command("echo out; exit 7"):build()
    task("again"):delegate_to("a"):retries(2, { delay = 0.01 }):command(function(this)
      print("attempt", this.attempt)
      if this.attempt < 3 then error("not yet") end
    end):build())");
  Sloth& home = agency.home();
  home.run("run slow").code(1).stdout_has("timed out after 300ms");
  home.run("run sleepy").code(1).stdout_has("timed out after 300ms");
  home.run("run says").code(1).stdout_has("not today");
  home.run("run shell").code(1).stdout_has("exit code 7").stdout_has("out");
  home.run("run again").code(0).stdout_in_order({"attempt\t1", "attempt\t2", "attempt\t3"});
}

TEST_CASE("an unknown agent is a load error with the nearest name, and nothing runs") {
  Agency agency;
  agency.agent("web-1");
  agency.file("tasks.lua", R"(
    task("a"):command(function() print("RAN") end):build()
    task("b"):delegate_to("web-2"):command("true"):build())");
  agency.home().run("run").code(2).stderr_has("tasks.lua:3").stderr_has("unknown agent \"web-2\"").stderr_has("web-1")
      .stderr_has("--local").stdout_lacks("RAN");
  agency.home().run("run --local").code(0);
}

TEST_CASE("an agent that is offline is waited for, then the task is unreachable and nothing started") {
  Agency agency;
  agency.master();
  Sloth& agent = agency.agent("a");
  agent.signal(SIGTERM).finish().code(0);
  agency.file("tasks.lua", R"(task("b"):delegate_to("a"):command(function() print("it", "RAN") end):build())");
  agency.home().run("run --agent-wait 300ms").code(5).stdout_has("offline").stdout_lacks("it\tRAN");
  agency.home().start("run --agent-wait 30s").wait_for("offline");
  agency.agent("a");
  agency.home().finish().code(0).stdout_has("it\tRAN");
}

TEST_CASE("a task on several agents runs once on each, and each is told") {
  Agency agency;
  agency.agent("a");
  agency.agent("b");
  agency.file("tasks.lua", R"(
    task("all"):delegate_to({ "a", "b" }):command(function(this)
      print("on " .. this.agent)
      if this.agent == "b" then return false, "b is full" end
      return true, "ok", { name = this.agent }
    end):build()
    task("asked"):delegate_to(function() return "a", "b" end):command(function(this)
      return true, "ok", { name = this.agent }
    end):build()
    task("sum"):depends_on("asked"):command(function(this, params, deps)
      print(deps.asked.a.name .. "+" .. deps.asked.b.name)
    end):build())");
  agency.home().run("run all").code(1).stdout_has("on a").stdout_has("on b").stdout_has("1 of 2 agents").stdout_has("b: b is full");
  agency.home().run("run sum").code(0).stdout_has("a+b");
  agency.home().run("run all --output json").code(1).stdout_has(R"("agent":"b")").stdout_has(R"("targets":)");
}

TEST_CASE("run -d sends tasks that name no agent, --local keeps all here") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(task("t"):command(function(this) print("[" .. this.agent .. "]") end):build())");
  agency.home().run("run -d a").code(0).stdout_has("[a]");
  agency.home().run("run").code(0).stdout_has("[]");
  agency.home().run("run -d a --local").code(0).stdout_has("[]");
  agency.home().run("run -d ../x").code(2).stderr_has("no agent name");
}

TEST_CASE("agent exec runs a command there with its output and its exit code") {
  Agency agency;
  agency.agent("a");
  Sloth& home = agency.home();
  home.run({"agent", "exec", "a", "--", "sh", "-c", "echo $0 'it''s'; echo bad >&2; exit 3", "zero"}).code(3);
  home.stdout_is("zero its\n").stderr_has("bad\n");
  home.run("agent exec a -- true").code(0);
  home.run("agent exec nobody -- true").code(2).stderr_has("unknown agent");
}

TEST_CASE("agent list, logs, drain and remove say what there is and do what they say") {
  Agency agency;
  agency.master();
  Sloth& agent = agency.agent("a");
  agency.agent("b");
  Sloth& home = agency.home();
  home.run("agent list").code(0).stdout_in_order({"NAME", "a", "ready", "b", "ready"});
  home.run("agent list --output json").code(0).stdout_has(R"("state":"ready")");
  home.run("agent logs a").code(0).stdout_has("connected to the master");
  home.run("agent remove a").code(4).stderr_has("connected");
  home.run("agent drain a").code(0);
  agent.finish().code(0);
  home.run("agent list").code(0).stdout_in_order({"a", "offline"});
  home.run("agent remove a").code(0);
  home.run("agent list").code(0).stdout_lacks("offline");
}

TEST_CASE("tasks at the same time on one agent each have a directory of their own, gone when they succeeded") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    for i = 1, 6 do
      task("t" .. i):delegate_to("a"):command(function(this, params)
        assert(params.workdir == this.workdir.get())
        exec.run("echo " .. this.name .. " > mine")
        goroutine.sleep(50)
        print("in " .. this.name .. ": " .. fs.read("mine") .. exec.run("ls | wc -l").stdout)
      end):build()
    end
    task("kept"):delegate_to("a"):command(function() fs.write("evidence", "x") error("look") end):build())");
  Sloth& home = agency.home();
  home.run("run -j 6 t1 t2 t3 t4 t5 t6").code(0);
  for (int i = 1; i <= 6; ++i) {
    const std::string name = "t" + std::to_string(i);
    home.stdout_has("in " + name + ": " + name + "\n");
  }
  home.run("run kept").code(1).stdout_has("workspace is kept: ");
  const std::size_t at = home.out().find("workspace is kept: ") + 19;
  const std::string workspace = home.out().substr(at, home.out().find('\n', at) - at);
  CHECK(workspace.starts_with(home.directory()));
  CHECK(home.content(workspace.substr(home.directory().size() + 1) + "/evidence") == "x");
}

TEST_CASE("arguments and captures of many megabytes cross, and are compared on the other side") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    local big = ("captured "):rep(700000)
    task("t"):delegate_to("a"):params({ text = ("param "):rep(900000) }):command(function(this, params)
      print(#big, #params.text, big:sub(-9), params.text:sub(-6))
    end):build())");
  agency.home().run("run").code(0).stdout_has("6300000\t5400000\tcaptured \tparam ");
}

TEST_CASE("a delegated task is in the record of its run, with its agent, its output and its end") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("good"):delegate_to("a"):command("echo kept for later"):build()
    task("bad"):delegate_to("a"):depends_on("good"):command("exit 4"):build())");
  Sloth& home = agency.home();
  home.run("run").code(1);
  home.run("runs show").code(0).stdout_in_order({"good", "succeeded", "on a", "bad", "failed", "on a", "exit code 4"});
  home.run("runs list").code(0).stdout_has("exit 1").stdout_has("tasks.lua");
  const std::string id = home.out().substr(0, home.out().find(' '));
  home.run("runs show " + id + " good").code(0).stdout_is("kept for later\n");
}

TEST_CASE("a task sees its own text and captures, not what other tasks of the file captured") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    local secret = os.getenv("CANARY")
    task("other"):command(function() return secret ~= nil end):build()
    task("t"):delegate_to("a"):command(function() print("ran") end):build())");
  Sloth& home = agency.home();
  home.env("CANARY", "canary-7f3a").run("run t").code(0).stdout_has("ran");
  const std::string state = home.directory() + "/.state";
  Sloth& search = agency.another();
  search.file("search.lua", "print(exec.run('grep -rl canary-7f3a " + state + " | wc -l').stdout)").run("run search.lua");
  search.code(0).stdout_has("0");
}

TEST_CASE("a task for an agent that nobody knows is told with the cure, and runs here with --local") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(task("deploy"):delegate_to("web-1"):command("echo here"):build())");
  sloth.run("run")
      .code(2)
      .stderr_has("tasks.lua:1: task \"deploy\": unknown agent \"web-1\"")
      .stderr_has("--local")
      .stdout_is("");
  sloth.run("run --local").code(0).stdout_has("[deploy] here").stdout_has("--local");
}

}  // namespace
}  // namespace sloth
