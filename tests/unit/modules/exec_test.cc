#include "modules/exec.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

#include "tests/unit/modules/task_lua.h"

namespace sloth {
namespace {

using testing::TaskLua;

TEST_CASE("exec.run gives both streams, the exit code and how long it took") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local r = exec.run("printf out; printf err >&2; exit 3", { stream = false })
    return r.stdout, r.stderr, r.exit_code, r.success, r.timed_out, r.signal == nil, r.duration_ms > 0, r.truncated == nil
  )")
            .text() == R"("out" "err" 3 false false true true true)");
  CHECK(lua.out.empty());
  CHECK(lua.err.empty());
}

TEST_CASE("the output of a command goes to the task's output, in order, before the call returns") {
  TaskLua lua;
  CHECK(
      lua.run(R"(print("before"); exec.run("echo one; echo two"); print("after"); exec.run("echo oops >&2"))")
          .ok());
  CHECK(lua.out == "before\none\ntwo\nafter\n");
  CHECK(lua.err == "oops\n");
}

TEST_CASE("output is byte exact: a line of one MiB, binary, half a character at the end") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local r = exec.sh([[head -c 1048576 /dev/zero | tr '\0' x; printf '\n\000\377\303']])
    return #r.stdout, r.stdout == ("x"):rep(1048576) .. "\n\0\255\195"
  )")
            .text() == "1048580 true");
  const bool same = lua.out == std::string(1048576, 'x') + std::string("\n\0\377\303", 4);
  CHECK(same);
}

TEST_CASE("combine puts stderr into stdout as it was written") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local r = exec.run("echo a; echo b >&2; echo c", { combine = true })
    return r.stdout, r.stderr
  )")
            .text() == R"("a\nb\nc\n" "")");
}

TEST_CASE("a result stands for its stdout, and a failure tells itself by two more values") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local out, err, failed = exec.run("printf 'a b'")
    assert(err == nil and not failed)
    return "<" .. out .. ">", out .. "!", tostring(out), out:upper(), out:match("%a$"), (out:gsub("a", "z")),
      out == exec.run("printf 'a b'"), exec.run("echo 1") < exec.run("echo 2"), out:len()
  )")
            .text() == R"("<a b>" "a b!" "a b" "A B" "b" "z b" true true 3)");
  CHECK(lua.run(R"(
    local out, err, failed = exec.run("echo broken >&2; exit 4")
    local _, reason = exec.run("exit 4")
    return out.exit_code, err, failed, reason
  )")
            .text() == R"(4 "broken" true "exit code 4")");
}

TEST_CASE("a command sees the task's environment, what env adds, its directory and its attempt") {
  TaskLua lua;
  lua.host.environment.emplace_back("COLOUR", "red");
  lua.host.environment.emplace_back("SIZE", "big");
  CHECK(lua.run(R"(
    local r = exec.run("echo $COLOUR-$SIZE-$NEW-$N", { env = { COLOUR = "blue", SIZE = false, NEW = "x=y z", N = 5 } })
    return r.stdout, exec.run("env", { stream = false }):match("COLOUR=%a+")
  )")
            .text() == R"("blue--x=y z-5\n" "COLOUR=red")");
  const auto ran = lua.run(R"(
    fs.mkdir("sub/deep")
    return exec.run("pwd").stdout, exec.run("/bin/pwd -L", { workdir = "sub/deep" }).stdout,
      exec.run("env", { workdir = "sub" }):match('PWD=(%C*)'), exec.run("env"):match('SLOTH_ATTEMPT=(%C*)')
  )");
  REQUIRE(ran.results.size() == 4);
  CHECK(ran.results[0].as_string() == lua.directory() + "\n");
  CHECK(ran.results[1].as_string() == lua.directory() + "/sub/deep\n");
  CHECK(ran.results[2].as_string() == lua.directory() + "/sub");
  CHECK(ran.results[3].as_string().starts_with(lua.host.attempt + "/"));
}

TEST_CASE("a list of arguments meets no shell") {
  TaskLua lua;
  CHECK(lua.run(R"(
    return exec.run({ "printf", "%s|", "a b", "$HOME", "*", "", 7 }).stdout
  )")
            .text() == R"("a b|$HOME|*||7|")");
}

TEST_CASE("stdin is what was given, and else empty") {
  TaskLua lua;
  CHECK(lua.run(R"(
    return exec.run("cat", { stdin = "x\0y" }).stdout, exec.run("cat").stdout, exec.run({ "wc", "-c" }, { stdin = ("q"):rep(300000) }):match("%d+"),
      exec.run("true", { stdin = ("q"):rep(300000) }).exit_code
  )")
            .text() == R"("x\u0000y" "" "300000" 0)");
}

TEST_CASE("a plain command runs without a shell and yet the same") {
  TaskLua lua;
  CHECK(lua.run(R"(
    fs.write("plain-script", "echo plain $1\n"); fs.chmod("plain-script", "755")
    for _, command in ipairs({ "/bin/echo a  b", "ls /no-such", "no-such-command a", "./plain-script x", "expr 1 + 2",
                               "/no/such/file", "/tmp", "./", "uname -s", "sleep", "  uname\n" }) do
      local plain, shell = exec.run(command, { stream = false }), exec.sh(command, { stream = false })
      local said = plain.stderr:gsub("^[^:]*sh: ", "")
      assert(plain.stdout == shell.stdout, command)
      assert(plain.exit_code == shell.exit_code, command .. ": " .. plain.exit_code .. " and " .. shell.exit_code)
      assert(plain.stderr == shell.stderr, command .. ": " .. plain.stderr .. shell.stderr)
    end
  )")
            .text()
            .empty());
}

TEST_CASE("what cannot be started is 127 or 126 with a message, as from a shell") {
  TaskLua lua;
  CHECK(lua.run(R"(
    fs.write("no-x", "echo hi")
    local list = exec.run({ "no-such-command" })
    local text = exec.run("no-such-command")
    assert(list.exit_code == 127 and list.stderr:find("no%-such%-command"), list.stderr)
    assert(text.exit_code == 127 and text.stderr:find("no%-such%-command"), text.stderr)
    local denied, directory = exec.run({ "./no-x" }), exec.run({ "/tmp" })
    assert(denied.exit_code == 126 and denied.stderr:find("no%-x"), denied.stderr)
    assert(directory.exit_code == 126 and directory.stderr:find("/tmp"), directory.stderr)
    local nowhere = exec.run("uname", { workdir = "missing" })
    return nowhere.exit_code, nowhere.stderr:find("missing") ~= nil
  )")
            .text() == "126 true");
  CHECK(lua.err.find("command not found: no-such-command") != std::string::npos);
}

TEST_CASE("arguments larger than the system takes are refused with their size") {
  TaskLua lua;
  const auto ran =
      lua.run(R"(local r = exec.run({ "true", ("x"):rep(5000000) }) return r.exit_code, r.stderr)");
  REQUIRE(ran.results.size() == 2);
  CHECK(ran.results[0] == Value(126));
  CHECK(ran.results[1].as_string().find("5000") != std::string::npos);
}

TEST_CASE("death by a signal is told by name and by 128 + n") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local r, reason = exec.run("kill -SEGV $$")
    return r.signal, r.exit_code, r.success, reason
  )")
            .text() == R"("SIGSEGV" 139 false "killed by SIGSEGV")");
}

TEST_CASE("check raises where the call stands, and says what failed") {
  TaskLua lua;
  CHECK(lua.run("\n\nexec.run('echo first >&2; echo last >&2; exit 3', { check = true })").error() ==
        "test.lua:3: command failed (exit code 3): echo first >&2; echo last >&2; exit 3: last");
  CHECK(lua.run("return exec.run('exit 0', { check = true }).success").text() == "true");
}

TEST_CASE("wrong use raises where the call stands") {
  TaskLua lua;
  const auto problem = [&](const std::string& text) { return lua.run(text).error(); };
  CHECK(problem("exec.run()") ==
        "test.lua:1: bad argument #1 to 'exec.run' (string or list of arguments expected, got no value)");
  CHECK(problem("exec.run({})") ==
        "test.lua:1: bad argument #1 to 'exec.run' (the list of arguments is empty)");
  CHECK(problem("exec.run({ 'a', nil, 'c' })") ==
        "test.lua:1: bad argument #1 to 'exec.run' (a list of arguments without holes expected)");
  CHECK(problem("exec.run({ 'a', true })") ==
        "test.lua:1: bad argument #1 to 'exec.run' (entry 2 of the list is a boolean, not a string)");
  CHECK(problem("exec.sh({ 'a' })") ==
        "test.lua:1: bad argument #1 to 'exec.sh' (string expected, got table)");
  CHECK(problem("exec.run('a', 5)") ==
        "test.lua:1: bad argument #2 to 'exec.run' (table of options expected, got number)");
  CHECK(problem("exec.run('a', { tiemout = 5 })") ==
        "test.lua:1: unknown option \"tiemout\"; did you mean \"timeout\"?");
  CHECK(problem("exec.run('a', { timeout = 0 })").starts_with("test.lua:1: bad option \"timeout\": "));
  CHECK(problem("exec.run('a', { timeout = 'soon' })").starts_with("test.lua:1: bad option \"timeout\": "));
  CHECK(problem("exec.run('a', { env = { A = true } })").find("the value of \"A\" is a boolean") !=
        std::string::npos);
  CHECK(problem("exec.run('true', { env = { ['A=B'] = 'x' } })").starts_with("test.lua:1: "));
  CHECK(problem("exec.run({ 'echo', 'a\\0b' })").starts_with("test.lua:1: "));
  CHECK(problem("exec.run({ 'echo', 'a\\0b' })").find("NUL") != std::string::npos);
  CHECK(problem("exec.run('echo a\\0b')").find("NUL") != std::string::npos);
  CHECK(problem("table.sort({ 1, 2 }, function() exec.run('true') end)").find("cannot wait here") !=
        std::string::npos);
}

TEST_CASE("a timeout ends the command and all it started") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local r, reason = exec.run("setsid sleep 60 & sleep 60", { timeout = 0.2 })
    return r.timed_out, r.success, r.signal, r.exit_code, reason:match("^timed out after")
  )")
            .text() == R"(true false "SIGTERM" 143 "timed out after")");
  CHECK(lua.processes().empty());
  CHECK(lua.run(R"(
    local r = exec.run("trap 'exit 0' TERM; while :; do sleep 0.05; done", { timeout = "200ms" })
    return r.timed_out, r.success, r.exit_code
  )")
            .text() == "true false 124");
}

TEST_CASE("goroutine.timeout ends a command, and no process is left when it returns") {
  TaskLua lua;
  CHECK(lua.run(R"(return goroutine.timeout(300, function() exec.run("sleep 60") end))").text() ==
        R"(false "timeout exceeded")");
  CHECK(lua.processes().empty());
}

TEST_CASE("a cancelled command that ignores SIGTERM is killed after its grace") {
  TaskLua lua;
  CHECK(lua.run(R"(
    return goroutine.timeout(300, function()
      exec.run("trap '' TERM; while :; do sleep 1; done", { grace = 0.2 })
    end)
  )")
            .text() == R"(false "timeout exceeded")");
  CHECK(lua.processes().empty());
}

TEST_CASE("a daemon that holds the output is left alone, and a warning names it") {
  TaskLua lua;
  CHECK(lua.run(R"(local r = exec.run("echo up; sleep 60 & exit 0") return r.stdout, r.success)").text() ==
        R"("up\n" true)");
  CHECK(
      lua.log.find("warn: \"echo up; sleep 60 & exit 0\" ended but left processes that hold its output: ") !=
      std::string::npos);
  CHECK(lua.log.find("\"sleep 60\"") != std::string::npos);
  CHECK(lua.processes().size() == 1);
}

TEST_CASE("what is kept of the output is cut at max_output, what streams is not") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local r = exec.run("head -c 3000000 /dev/zero", { max_output = 1000 })
    return #r.stdout, r.truncated
  )")
            .text() == "1000 true");
  CHECK(lua.out.size() == 3000000);
}

TEST_CASE("200 commands at once share a few threads, and each result is its own") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local wg, bad, threads = goroutine.wait_group(), 0, 0
    for i = 1, 200 do
      wg:add(1)
      goroutine.spawn(function()
        local r = exec.run("read x; echo $x; sleep 0.2", { stdin = i .. "\n", stream = false })
        if r.stdout ~= i .. "\n" then bad = bad + 1 end
        threads = math.max(threads, #fs.ls("/proc/self/task"))
        wg:done()
      end)
    end
    wg:wait()
    return bad, threads < 90
  )")
            .text() == "0 true");
  CHECK(lua.executor().stats().workers_started <= 2);
}

TEST_CASE("other goroutines run while a command does") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local ticks, done = 0, false
    goroutine.spawn(function() exec.run("sleep 0.3") done = true end)
    while not done do goroutine.sleep(10) ticks = ticks + 1 end
    return ticks > 3
  )")
            .text() == "true");
}

TEST_CASE("a VM that closes under a running command ends it") {
  std::string attempt;
  {
    TaskLua lua;
    attempt = lua.host.attempt;
    lua.on_strand([&] {
      lua_State* L = lua.vm().state();
      REQUIRE(lua.vm().load(L, "@test.lua", "exec.run('sleep 60')"));
      lua.scheduler().start_root(
          {.name = "test"},
          [L](lua_State* to) {
            lua_xmove(L, to, 1);
            return 0;
          },
          [](const RootOutcome&, lua_State*, int) {});
    });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (tree_of(0, attempt).empty() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    REQUIRE_FALSE(tree_of(0, attempt).empty());
  }
  CHECK(tree_of(0, attempt).empty());
}

TEST_CASE("the examples of exec's description run") { testing::check_examples(exec_module()); }

}  // namespace
}  // namespace sloth
