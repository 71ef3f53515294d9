#include "modules/standard.h"

#include <sys/stat.h>
#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

#include "tests/unit/modules/task_lua.h"

namespace sloth {
namespace {

using testing::TaskLua;

TEST_CASE("print and io.write go to the task's output") {
  TaskLua lua;
  CHECK(lua.run(R"(
    print("a", 1, nil, true)
    print()
    io.write("b", 2, "\n")
    io.stdout:write("c"):write("d\n")
    io.stderr:write("e\n")
    io.stdout:flush() io.stdout:setvbuf("no") io.stdout:close()
    io.write(exec.run("printf f", { stream = false }), "\n")
    print(exec.run("printf g", { stream = false }))
    print(setmetatable({}, { __tostring = function() return "h" end }))
  )")
            .text()
            .empty());
  CHECK(lua.out == "a\t1\tnil\ttrue\n\nb2\ncd\nf\ng\nh\n");
  CHECK(lua.err == "e\n");
}

TEST_CASE("io.write takes text and numbers only, and says so where the call stands") {
  TaskLua lua;
  CHECK(lua.run("io.write('x', {})").error() ==
        "test.lua:1: bad argument #2 to 'write' (string expected, got table)");
  CHECK(lua.run("\nio.stdout:write(nil)").error() ==
        "test.lua:2: bad argument #1 to 'write' (string expected, got nil)");
  CHECK(lua.run("io.write(true)").error() ==
        "test.lua:1: bad argument #1 to 'write' (string expected, got boolean)");
}

TEST_CASE("stdin is empty") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local lines = 0
    for _ in io.lines() do lines = lines + 1 end
    return io.read(), io.read("*a"), io.stdin:read("*n"), lines, (io.stdin:write("x"))
  )")
            .text() == R"(null "" null 0 null)");
}

TEST_CASE("files are found from the task's directory and work as in Lua") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local f = assert(io.open("t.txt", "w"))
    f:write("one\n", 2, "\nthree") f:close()
    local lines = {}
    for line in io.lines("t.txt") do lines[#lines + 1] = line end
    local g = io.open("t.txt")
    local first, rest = g:read("*l", "*a")
    local kind = io.type(g)
    g:close()
    assert(os.rename("t.txt", "u.txt"))
    local gone, problem = io.open("t.txt")
    return table.concat(lines, ","), first, rest, kind, io.type(g), io.type(io.stdout), gone, problem:match("No such file"),
      os.remove("u.txt"), (os.remove("u.txt"))
  )")
            .text() ==
        R"("one,2,three" "one" "2\nthree" "file" "closed file" "file" null "No such file" true null)");
  CHECK(lua.run("for _ in io.lines('none') do end")
            .error()
            .starts_with("test.lua:1: " + lua.directory() + "/none"));
}

TEST_CASE("a FIFO, a directory or a device is refused by kind, at once") {
  TaskLua lua;
  REQUIRE(::mkfifo((lua.directory() + "/pipe").c_str(), 0600) == 0);
  CHECK(lua.run("return select(2, io.open('pipe'))").text() ==
        "\"" + lua.directory() + "/pipe: is a FIFO, not a file\"");
  CHECK(lua.run("return select(2, io.open('pipe', 'w'))").text().find("is a FIFO") != std::string::npos);
  CHECK(lua.run("return select(2, io.open('.'))").text().find("is a directory") != std::string::npos);
  CHECK(lua.run("for _ in io.lines('pipe') do end").error().find("is a FIFO") != std::string::npos);
  CHECK(lua.run("return #io.open('/dev/urandom'):read(16), io.open('/dev/null', 'w'):write('x')").text() ==
        "16 true");
}

TEST_CASE("io.output and io.input redirect, and only this task") {
  TaskLua lua;
  CHECK(lua.run(R"(
    io.output("o.txt") io.write("to file") io.close() io.output(io.stdout)
    io.write("to task")
    io.input("o.txt")
    return io.read("*a")
  )")
            .text() == R"("to file")");
  CHECK(lua.out == "to task");
}

TEST_CASE("io.popen reads a command piece by piece in every format") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local p = io.popen("printf 'one\n 42 rest\nlast'")
    local a, n, b, c, d, e = p:read(), p:read("*n"), p:read(3), p:read("*L"), p:read("*l"), p:read("*l")
    local ok, how, code = p:close()
    return a, n, b, c, d, e, ok, how, code, io.type(p)
  )")
            .text() == R"("one" 42 " re" "st\n" "last" null true "exit" 0 "closed file")");
  CHECK(lua.run(R"(
    local count, total = 0, 0
    for line in io.popen("seq 1 20000"):lines() do count, total = count + 1, total + tonumber(line) end
    local all = io.popen("head -c 3000000 /dev/zero"):read("*a")
    local pair = { io.popen("printf '1\n2\n'"):read("*l", "*l", "*l") }
    return count, total, #all, pair[1], pair[2], pair[3], io.popen("true"):read("*a"), io.popen("true"):read("*l")
  )")
            .text() == R"(20000 200010000 3000000 "1" "2" null "" null)");
}

TEST_CASE("io.popen gives lines while the command still runs") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local p = io.popen("echo ready; sleep 60")
    local line = p:read()
    local ok, problem = goroutine.timeout(200, function() return p:read() end)
    return line, ok, problem
  )")
            .text() == R"("ready" false "timeout exceeded")");
  CHECK(lua.processes().empty());
}

TEST_CASE("closing a pipe tells how the command ended, its stderr goes to the task") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local p = io.popen("echo warning >&2; exit 3")
    p:read("*a")
    local q = io.popen("kill -9 $$")
    local a, b, c = p:close()
    local d, e, f = q:close()
    local ok, problem = pcall(p.read, p)
    local g, h, i = io.popen("yes"):close()
    return a, b, c, d, e, f, ok, problem:match("closed file"), h, i
  )")
            .text() == R"(null "exit" 3 null "signal" 9 false "closed file" "signal" 13)");
  CHECK(lua.err == "warning\n");
}

TEST_CASE("io.popen for writing runs the command with what was written") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local p = io.popen("tr a-z A-Z; exit 2", "w")
    p:write("one "):write(2, "\n")
    local none, problem = p:read()
    local ok, how, code = p:close()
    return none, problem, ok, how, code
  )")
            .text() == R"(null "this pipe was opened for writing" null "exit" 2)");
  CHECK(lua.out == "ONE 2\n");
}

TEST_CASE("wrong use of io.popen raises where the call stands") {
  TaskLua lua;
  CHECK(lua.run("io.popen()").error() == "test.lua:1: bad argument #1 to 'popen' (string expected, got nil)");
  CHECK(lua.run("io.popen('true', 'x')").error() ==
        "test.lua:1: bad argument #2 to 'popen' (\"r\" or \"w\" expected, got \"x\")");
  CHECK(lua.run("io.popen('true'):read('*q')").error().starts_with("test.lua:1: bad argument to 'read'"));
  CHECK(
      lua.run("io.popen('true').read()").error().starts_with("test.lua:1: a pipe made by io.popen expected"));
}

TEST_CASE("a pipe that nobody holds ends its command") {
  TaskLua lua;
  CHECK(lua.run("io.popen('sleep 60'); collectgarbage() collectgarbage() goroutine.sleep(1)").ok());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!lua.processes().empty() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(lua.processes().empty());
}

TEST_CASE("os.execute gives the exit code and streams") {
  TaskLua lua;
  CHECK(lua.run(R"(
    return os.execute("echo hi; exit 3"), os.execute("true"), os.execute(), os.execute("kill -15 $$"), os.execute("no-such-command")
  )")
            .text() == "3 0 1 143 127");
  CHECK(lua.out == "hi\n");
  CHECK(lua.err.find("no-such-command") != std::string::npos);
}

TEST_CASE("os.getenv sees the task's environment only") {
  TaskLua lua;
  lua.host.environment = {{"PATH", "/bin:/usr/bin"}, {"MINE", "yes"}};
  CHECK(lua.run(R"(return os.getenv("MINE"), os.getenv("HOME"))").text() == R"("yes" null)");
}

TEST_CASE("os.exit raises the task's end, which names its code") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local _, e = pcall(os.exit, 3)
    local _, zero = pcall(os.exit)
    local _, yes = pcall(os.exit, true)
    local _, no = pcall(os.exit, false)
    return e.sloth_exit, zero.sloth_exit, yes.sloth_exit, no.sloth_exit, tostring(e)
  )")
            .text() == R"x(3 0 0 1 "os.exit(3)")x");
  CHECK(lua.run("os.exit(5)").error() == "os.exit(5)");
  CHECK(lua.run("os.exit('x')").error() ==
        "test.lua:1: bad argument #1 to 'exit' (number expected, got string)");
}

TEST_CASE("what would change the whole process is refused") {
  TaskLua lua;
  CHECK(lua.run("os.setlocale('C')").error().starts_with("test.lua:1: os.setlocale is not available"));
}

TEST_CASE("require gives the same io, and standard leaves no global of its own") {
  TaskLua lua;
  CHECK(lua.run("return require('io') == io, standard == nil").text() == "true true");
}

TEST_CASE("the examples of io's description run") { testing::check_examples(standard_module()); }

}  // namespace
}  // namespace sloth
