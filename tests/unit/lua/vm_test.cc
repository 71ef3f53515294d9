// The VM: text only, no native code, limits, and the facts of LuaJIT that the design leans on.
#include "runner/lua/vm.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <thread>

#include "runner/lua/stack.h"
#include "tests/support/sanitizer.h"

namespace sloth::testing {
namespace {

class Machine {
 public:
  explicit Machine(Vm::Options options = {}) {
    options.host = &host_;
    options.chunks = &chunks_;
    host_.file_directory = host_.workdir = "/";
    vm = Vm::open(options);
  }

  // Results (or "error: ...") as text.
  std::string run(const std::string& text, const std::string& name = "@test.lua") {
    lua_State* L = vm->state();
    const int top = lua_gettop(L);
    if (auto loaded = vm->load(L, name, text); !loaded) return "load: " + loaded.error().message;
    vm->memory().enforce(true);
    const int status = lua_pcall(L, 0, LUA_MULTRET, 0);
    vm->memory().enforce(false);
    std::string out;
    if (status != 0) {
      const Vm::Failure failure = vm->failure_from(L, L);
      out = "error: " + failure.message;
    }
    for (int i = top + 1; i <= lua_gettop(L); ++i) {
      lua_getglobal(L, "tostring");
      lua_pushvalue(L, i);
      lua_call(L, 1, 1);
      out += (out.empty() ? "" : " ") + std::string(lua_tostring(L, -1));
      lua_pop(L, 1);
    }
    lua_settop(L, top);
    return out;
  }

  // Of the error that it raises; "" when it raises none.
  std::string traceback(const std::string& text) {
    lua_State* L = vm->state();
    const int top = lua_gettop(L);
    lua_State* thread = lua_newthread(L);
    REQUIRE(vm->load(thread, "@test.lua", text).ok());
    std::string found;
    if (lua_resume(thread, 0) != LUA_OK) {
      lua_pushvalue(thread, -1);
      lua_xmove(thread, L, 1);
      found = vm->failure_from(L, thread).traceback;
    }
    lua_settop(L, top);
    return found;
  }

  std::unique_ptr<Vm> vm;

 private:
  Host host_;
  ChunkCache chunks_;
};

TEST_CASE("plain Lua runs, errors carry file and line") {
  Machine machine;
  CHECK(machine.run("return 1 + 1, 'x'") == "2 x");
  CHECK(machine.run("\nerror('boom')") == "error: test.lua:2: boom");
  CHECK(machine.run("x = = 1") == "load: test.lua:1: unexpected symbol near '='");
  CHECK(machine.run("error({})") ==
        "error: error object is a table value; raise a text, or a table with __tostring");
  CHECK(machine.run("error(setmetatable({}, {__tostring = function() return 'mine' end}))") == "error: mine");
  CHECK(machine.run("error(nil)") == "error: error(nil): an error without a message");
}

TEST_CASE("bytecode is refused at every door") {
  Machine machine;
  CHECK(machine.run("\x1bLJ\x02").find("bytecode is not accepted") != std::string::npos);
  CHECK(machine.run("return load('\\27LJ\\2')").find("bytecode is not accepted") != std::string::npos);
  CHECK(machine.run("return loadstring('\\27LJ\\2')").find("bytecode is not accepted") != std::string::npos);
  CHECK(machine.run("return load(function() return nil end, 'x', 'b')").find("bytecode") !=
        std::string::npos);
  CHECK(machine.run("return string.dump") == "nil");
}

TEST_CASE("nothing leads to native code") {
  Machine machine;
  CHECK(machine.run("return package.loadlib, package.loaders, package.cpath, ffi, newproxy, module") ==
        "nil nil nil nil nil nil");
  CHECK(
      machine.run("local x = 1LL return package.loaded.ffi, pcall(require, 'ffi')").starts_with("nil false"));
  CHECK(machine.run("local n = 0 for k in pairs(debug) do n = n + 1 end return n") == "2");
  CHECK(machine.run("return jit.on, jit.opt, jit.util, pcall(require, 'jit.util')")
            .starts_with("nil nil nil false"));
}

TEST_CASE("the set of globals is known") {
  Machine machine;
  CHECK(
      machine.run(
          "local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) return table.concat(t, ' ')") ==
      "_G _VERSION assert bit collectgarbage coroutine debug dofile error gcinfo getfenv getmetatable import "
      "io ipairs "
      "jit load loadfile loadstring math next os package pairs pcall print rawequal rawget rawset require "
      "select "
      "setfenv setmetatable string table tonumber tostring type unpack xpcall");
}

TEST_CASE("the memory limit is an error, and the VM lives on") {
  Machine machine({.memory_limit = 8u << 20});
  CHECK(machine.run("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(100) .. i end") ==
        "error: memory limit reached (8 MiB)");
  CHECK(machine.run("collectgarbage() return 1") == "1");
  CHECK(machine.run("return ('x'):rep(1e8)") == "error: memory limit reached (8 MiB)");
}

TEST_CASE("deep nesting is Lua's own error") {
  Machine machine;
  CHECK(
      machine.run("return " + std::string(10000, '(') + "1" + std::string(10000, ')')).starts_with("load: "));
  CHECK(machine.run("local function f() return f() + 1 end f()") == "error: test.lua:1: stack overflow");
}

TEST_CASE("a traceback tells a line that repeats once, with how often") {
  Machine machine;
  CHECK(machine.traceback("local function f(n)\n  if n == 0 then error('x') end\n  return 1 + f(n - 1)\nend\n"
                          "local function once(n)\n  return 1 + f(n)\nend\nonce(200)") ==
        "test.lua:2: in function 'f'\n"
        "test.lua:3: in function 'f'\n"
        "... (the same line 199 times more)\n"
        "test.lua:6: in function 'once'\n"
        "test.lua:8: in main chunk\n");
  CHECK(machine.traceback(
            "local function f(n)\n  if n == 0 then error('x') end\n  return 1 + f(n - 1)\nend\nf(1)") ==
        "test.lua:2: in function 'f'\ntest.lua:3: in function 'f'\ntest.lua:5: in main chunk\n");
}

TEST_CASE("a compiled endless loop is interrupted, with and without pcall inside") {
  Interrupter interrupter;
  CHECK(interrupter.works_with_jit());
  const char* const loops[] = {
      "while true do end",
      "local x = 0 while true do x = x + 1 end",
      "for i = 1, math.huge do end",
      "local function f() return f() end f()",
      "local function f() end while true do f() end",
      "local t = {} while true do t = {t} t = t[1] end",
      "::top:: goto top",
      "while true do local s = ('x'):rep(10) .. 'y' end",
      "while true do pcall(error, 'x') end",
      "while true do coroutine.wrap(function() end)() end",
      "local mt = setmetatable({}, {__index = function(t, k) return k end}) while true do local x = mt.y end",
  };
  if (kSignalsAreHeldBack) {
    WARN("left out: signals are held back");
    return;
  }
  for (const char* loop : loops) {
    INFO(loop);
    Machine machine({.interrupter = &interrupter});
    machine.vm->on_interrupt([](void*, lua_State* L) -> bool { return luaL_error(L, "interrupted") != 0; },
                             nullptr);
    const Vm::Running running(*machine.vm);
    std::thread other([&] {
      // Until it is heard: the request may come before the loop runs.
      for (int i = 0; i < 5; ++i) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
        while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
        machine.vm->interrupt();
      }
    });
    CHECK(machine.run(loop).find("interrupted") != std::string::npos);
    other.join();
    machine.vm->disarm_interrupt();
  }
}

TEST_CASE("an interrupt that nothing wants lets the code run on") {
  Interrupter interrupter;
  Machine machine({.interrupter = &interrupter});
  static int calls = 0;
  machine.vm->on_interrupt([](void*, lua_State*) { return ++calls < 0; }, nullptr);
  const Vm::Running running(*machine.vm);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      machine.vm->interrupt();
      std::this_thread::yield();
    }
  });
  // Until one was heard: the other thread may be late.
  for (int round = 0; round == 0 || (calls == 0 && !kSignalsAreHeldBack); ++round) {
    CHECK(machine.run("local s = 0 for i = 1, 3e7 do s = s + i % 7 end return s") == "89999997");
  }
  stop = true;
  other.join();
}

TEST_CASE("yield passes pcall, xpcall, metamethods and iterators, and no further") {
  Machine machine;
  CHECK(
      machine.run(
          "local co = coroutine.wrap(function() pcall(coroutine.yield, 1) xpcall(coroutine.yield, print, 2)\n"
          "local t = setmetatable({}, {__index = function() coroutine.yield(3) return 4 end}) return t.x "
          "end)\n"
          "return co(), co(), co(), co()") == "1 2 3 4");
  CHECK(machine
            .run("return coroutine.resume(coroutine.create(function() table.sort({3, 2, 1}, function()\n"
                 "coroutine.yield() end) end))")
            .find("attempt to yield across C-call boundary") != std::string::npos);
}

int destroyed = 0;
struct Local {
  ~Local() { ++destroyed; }
};
int throws(lua_State*) {
  const Local local;
  throw std::runtime_error("from C++");
}
int raises(lua_State* L) {
  const Local local;
  return luaL_error(L, "from Lua");
}

TEST_CASE("a C++ exception becomes a Lua error with its text, and locals are destroyed") {
  destroyed = 0;
  Machine machine;
  lua_State* L = machine.vm->state();
  lua_pushcfunction(L, native<throws>);
  lua_setglobal(L, "throws");
  lua_pushcfunction(L, native<raises>);
  lua_setglobal(L, "raises");
  CHECK(machine.run("return pcall(throws)") == "false from C++");
  CHECK(machine.run("return pcall(raises)") == "false from Lua");
  CHECK(destroyed == 2);
}

}  // namespace
}  // namespace sloth::testing
