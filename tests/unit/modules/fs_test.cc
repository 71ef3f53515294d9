#include "modules/fs.h"

#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include "tests/unit/modules/task_lua.h"

namespace sloth {
namespace {

using testing::TaskLua;

TEST_CASE("files are written, appended to, read and measured, bytes as they are") {
  TaskLua lua;
  CHECK(lua.run(R"(
    assert(fs.write("a.txt", "one\0\255") == true)
    assert(fs.append("a.txt", "two") == true)
    return fs.read("a.txt") == "one\0\255two", fs.size("a.txt"), fs.exists("a.txt"), fs.is_file("a.txt"), fs.is_dir("a.txt"),
      fs.is_dir("."), fs.exists("b.txt")
  )")
            .text() == "true 8 true true false true false");
  CHECK(exists(lua.directory() + "/a.txt"));
}

TEST_CASE("what the machine refuses is nil and a message that names the path") {
  TaskLua lua;
  for (const char* call :
       {"fs.read('none')", "fs.size('none')", "fs.rm('none')", "fs.ls('none')", "fs.stat('none')",
        "fs.copy('none', 'x')", "fs.move('none', 'x')", "fs.write('none/x', 'y')", "fs.append('none/x', 'y')",
        "fs.chmod('none', '644')", "fs.read('.')"}) {
    CAPTURE(call);
    const auto ran = lua.run(std::string("return ") + call);
    REQUIRE(ran.results.size() == 2);
    CHECK(ran.results[0].is_nil());
    CHECK(ran.results[1].as_string().find(lua.directory()) != std::string::npos);
  }
}

TEST_CASE("a FIFO or a device is refused by kind, at once") {
  TaskLua lua;
  REQUIRE(::mkfifo((lua.directory() + "/pipe").c_str(), 0600) == 0);
  for (const char* call :
       {"fs.read('pipe')", "fs.write('pipe', 'x')", "fs.append('pipe', 'x')", "fs.copy('pipe', 'y')"}) {
    CAPTURE(call);
    const auto ran = lua.run(std::string("return ") + call);
    REQUIRE(ran.results.size() == 2);
    CHECK(ran.results[0].is_nil());
    CHECK(ran.results[1].as_string().find("FIFO") != std::string::npos);
  }
  CHECK(lua.run("return (fs.read('/dev/zero'))").text() == "null");
  CHECK(lua.run("return (fs.write('/dev/null', 'x'))").text() == "null");
}

TEST_CASE("fs.read stops at its limit") {
  TaskLua lua;
  CHECK(lua.run(R"(
    fs.write("big", ("x"):rep(100))
    local text, problem = fs.read("big", { limit = 99 })
    return text, problem:find("99") ~= nil, #fs.read("big", { limit = 100 })
  )")
            .text() == "null true 100");
}

TEST_CASE("directories are made with parents, listed in order and removed") {
  TaskLua lua;
  CHECK(lua.run(R"(
    assert(fs.mkdir("a/b/c") and fs.mkdir("a/b/c"))
    fs.write("a/2", "") fs.write("a/1", "")
    local names = table.concat(fs.ls("a"), " ")
    local kept, problem = fs.rm("a")
    assert(kept == nil and problem:find("a"))
    assert(fs.rm("a/b/c"))
    assert(fs.rm_r("a") and fs.rmr("a"))
    return names, #fs.ls()
  )")
            .text() == R"("1 2 b" 0)");
}

TEST_CASE("removing the task's own directory or what holds it is refused") {
  TaskLua lua;
  for (const char* path : {".", "..", "/", "./../.."}) {
    CAPTURE(path);
    const auto ran = lua.run(std::string("return fs.rm_r('") + path + "')");
    REQUIRE(ran.results.size() == 2);
    CHECK(ran.results[1].as_string().find("refusing") != std::string::npos);
  }
  CHECK(exists(lua.directory()));
}

TEST_CASE("removing a tree does not follow links out of it") {
  TaskLua lua;
  CHECK(lua.run(R"(
    fs.mkdir("keep") fs.write("keep/x", "x") fs.mkdir("tree")
    exec.run("ln -s ../keep tree/link")
    return fs.stat("tree/link").type, fs.rm_r("tree"), fs.exists("keep/x")
  )")
            .text() == R"("link" true true)");
}

TEST_CASE("files are copied with their mode, moved, and told about") {
  TaskLua lua;
  CHECK(lua.run(R"(
    fs.write("run.sh", "echo hi") assert(fs.chmod("run.sh", 755))
    assert(fs.copy("run.sh", "two.sh") and fs.move("two.sh", "three.sh") and fs.rename("three.sh", "four.sh"))
    local about = fs.stat("four.sh")
    return about.type, about.size, about.mode, about.mtime > 1e9, fs.exists("two.sh"), exec.run("./four.sh").stdout
  )")
            .text() == R"("file" 7 "755" true false "hi\n")");
}

TEST_CASE("glob finds at any depth, relative to the task's directory or to a base") {
  TaskLua lua;
  CHECK(lua.run(R"(
    fs.mkdir("src/deep") fs.write("src/a.c", "") fs.write("src/deep/b.c", "") fs.write("src/c.h", "")
    return table.concat(fs.glob("src/*.c"), " "), table.concat(fs.glob("**/*.c"), " "), table.concat(fs.glob("*.c", "src"), " "),
      #fs.glob("*.none")
  )")
            .text() == R"("src/a.c" "src/a.c src/deep/b.c" "a.c" 0)");
}

TEST_CASE("temporary directories are fresh, names are free") {
  TaskLua lua;
  CHECK(lua.run(R"(
    local dir, name = fs.tmpdir("mine-"), fs.tmpname()
    local fresh = fs.is_dir(dir) and #fs.ls(dir) == 0 and fs.basename(dir):find("^mine%-") ~= nil
    fs.rm(dir)
    return fresh, fs.exists(name)
  )")
            .text() == "true false");
}

TEST_CASE("paths are put together as text") {
  TaskLua lua;
  const auto ran = lua.run(R"(
    return fs.join("a", "b", "../c"), fs.join("a", "/b"), fs.basename("/x/y.txt"), fs.dirname("/x/y.txt"), fs.abs("q/../r")
  )");
  CHECK(ran.text() == R"("a/c" "/b" "y.txt" "/x" ")" + lua.directory() + R"(/r")");
}

TEST_CASE("wrong arguments raise where the call stands") {
  TaskLua lua;
  CHECK(lua.run("fs.read()").error() ==
        "test.lua:1: bad argument #1 to 'fs.read' (string expected, got no value)");
  CHECK(lua.run("fs.write('x', 5)").error() ==
        "test.lua:1: bad argument #2 to 'fs.write' (string expected, got number)");
  CHECK(lua.run("fs.read('')").error() == "test.lua:1: bad argument #1 to 'fs.read' (the path is empty)");
  CHECK(lua.run("fs.read('x', { limti = 5 })").error() ==
        "test.lua:1: unknown option \"limti\"; did you mean \"limit\"?");
  CHECK(lua.run("fs.chmod('x', '9')").error().starts_with("test.lua:1: bad argument #2 to 'fs.chmod'"));
}

TEST_CASE("many goroutines read at once") {
  TaskLua lua;
  CHECK(lua.run(R"(
    for i = 1, 100 do fs.write("f" .. i, tostring(i)) end
    local sum, wg = 0, goroutine.wait_group()
    for i = 1, 100 do
      wg:add(1)
      goroutine.spawn(function() local n = tonumber(fs.read("f" .. i)) sum = sum + n wg:done() end)
    end
    wg:wait()
    return sum
  )")
            .text() == "5050");
}

TEST_CASE("the examples of fs's description run") { testing::check_examples(fs_module()); }

}  // namespace
}  // namespace sloth
