// Portable functions: sent by one VM, revived in another that only has the text.
#include "runner/lua/portable_codec.h"

#include <catch2/catch.hpp>

#include "runner/lua/value_codec.h"

namespace sloth::testing {
namespace {

// A module that comes when first named in the receiver. Its Lua half needs a built-in that scripts replace.
Module module() {
  return {.name = "shout",
          .natives = {},
          .lua = "local t = {} function t.text(s) return type(s) .. '!' end return t"};
}

// A plan VM that runs a file, and a fresh VM in which a function of it is revived and called.
class Sender {
 public:
  explicit Sender(const std::string& text) {
    host_.file_directory = host_.workdir = "/";
    vm_ = Vm::open({.host = &host_, .chunks = &chunks_});
    vm_->install(module());
    vm_->seal();
    lua_State* L = vm_->state();
    auto loaded = vm_->load(L, "@tasks.lua", text);
    REQUIRE(loaded.ok());
    if (lua_pcall(L, 0, LUA_MULTRET, 0) != 0) FAIL(lua_tostring(L, -1));
    maker_ = std::make_unique<PortableMaker>(*vm_);
  }

  Result<std::uint32_t> add(int index = 1) { return maker_->add(vm_->state(), index, "task \"t\""); }
  std::shared_ptr<const PortableStore> finish() { return maker_->finish(); }

 private:
  Host host_;
  ChunkCache chunks_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<PortableMaker> maker_;
};

class Receiver {
 public:
  explicit Receiver(std::shared_ptr<const PortableStore> store) {
    host_.may_read_sources = false;
    vm_ = Vm::open({.host = &host_, .chunks = &chunks_});
    vm_->install(module());
    vm_->seal();
    reviver_ = std::make_unique<PortableReviver>(*vm_, std::move(store));
  }

  // Calls the function and returns its results as text, or the error.
  std::string call(std::uint32_t object) {
    lua_State* L = vm_->state();
    const int top = lua_gettop(L);
    if (auto pushed = reviver_->push(L, object); !pushed) return pushed.error().message;
    std::string text;
    if (lua_pcall(L, 0, LUA_MULTRET, 0) != 0) text = "error: ";
    for (int i = top + 1; i <= lua_gettop(L); ++i) {
      lua_getglobal(L, "tostring");
      lua_pushvalue(L, i);
      lua_call(L, 1, 1);
      text += (i > top + 1 ? " " : "") + std::string(lua_tostring(L, -1));
      lua_pop(L, 1);
    }
    lua_settop(L, top);
    return text;
  }

  std::vector<std::string> changed() { return reviver_->changed_tables(vm_->state()); }

 private:
  Host host_;
  ChunkCache chunks_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<PortableReviver> reviver_;
};

// The function that `text` returns, sent and called.
std::string sent(const std::string& text) {
  Sender sender(text);
  auto object = sender.add();
  if (!object) return "refused: " + object.error().message;
  return Receiver(sender.finish()).call(*object);
}

TEST_CASE("captured values travel as they are when loading ends") {
  CHECK(sent("local a, b, c = 1, 'x', true\nreturn function() return a, b, c end") == "1 x true");
  CHECK(sent("local n = 0\nn = n + 41\nreturn function() n = n + 1 return n end") == "42");
  CHECK(sent("local t = {1, {2}, k = 'v'}\nreturn function() return t[1], t[2][1], t.k, #t end") ==
        "1 2 v 2");
  CHECK(sent("local n = 5LL\nlocal u = 18446744073709551615ULL\nreturn function() return n, u end") ==
        "5LL 18446744073709551615ULL");
  CHECK(sent("return function(...) return select('#', ...) end") == "0");
}

TEST_CASE("cycles, shared tables and metatables are kept") {
  CHECK(sent("local t = {} t.self = t\nreturn function() return t.self == t end") == "true");
  CHECK(sent("local s = {1}\nlocal a, b = {s}, {s}\nreturn function() return a[1] == b[1] end") == "true");
  CHECK(
      sent(
          "local C = {} C.__index = C function C:get() return self.v end\n"
          "local o = setmetatable({v = 7}, C)\nreturn function() return o:get(), getmetatable(o) == C end") ==
      "7 true");
}

TEST_CASE("variables that two functions share stay shared") {
  CHECK(sent("local n = 0\nlocal function inc() n = n + 1 end\nlocal function get() return n end\n"
             "return function() inc() inc() return get(), n end") == "2 2");
}

TEST_CASE("a closure made in a loop carries its own loop variable") {
  CHECK(sent("local fs = {}\nfor i = 1, 3 do fs[i] = function() return i end end\n"
             "return function() return fs[1](), fs[2](), fs[3]() end") == "1 2 3");
}

TEST_CASE("recursion and mutual recursion work") {
  CHECK(sent("local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end\n"
             "return function() return fib(15) end") == "610");
}

TEST_CASE("user globals travel, also through other functions") {
  CHECK(sent("function helper() return base + 1 end\nbase = 10\nreturn function() return helper() end") ==
        "11");
}

TEST_CASE("a user global named like a built-in replaces it there") {
  CHECK(sent("function load(x) return 'loaded ' .. x end\nreturn function() return load('d') end") ==
        "loaded d");
  CHECK(sent("local old = load\nfunction load() return 1 end\n"
             "return function() return load(), old('return 2')() end") == "1 2");
}

TEST_CASE("fields added to library tables travel") {
  CHECK(sent("function string.shout(s) return s:upper() .. '!' end\nreturn function() return ('a'):shout() "
             "end") == "A!");
}

TEST_CASE("_G takes all user globals along") {
  CHECK(sent("x = 1 y = {2}\nreturn function() return _G.x, _G['y'][1] end") == "1 2");
}

TEST_CASE("functions made by load keep their text") {
  CHECK(sent("local f = load('return 6 * 7')\nreturn function() return f() end") == "42");
}

TEST_CASE("functions that ran hot before travel the same") {
  CHECK(sent("local function work(n) local s = 0 for i = 1, n do s = s + i end return s end\n"
             "for i = 1, 200 do work(100) end\nreturn function() return work(100) end") == "5050");
}

TEST_CASE("functions with constant tables are found whatever order the VM keeps their keys in") {
  for (int i = 0; i < 20; ++i) {
    CHECK(sent("return function()\n local t = {alpha = 1, beta = 2, gamma = 3, delta = 4, epsilon = 5, zeta "
               "= 6, 'x'}\n"
               " return t.alpha + t.beta + t.gamma + t.delta + t.epsilon + t.zeta, t[1] end") == "21 x");
  }
}

TEST_CASE("modules are there when named, captured or required, whatever the script made of their names") {
  CHECK(sent("return function() return shout.text(1), require('shout') == shout end") == "number! true");
  CHECK(sent("local s = require('shout')\nreturn function() return s.text('x'), s == shout end") ==
        "string! true");
  CHECK(sent("local f = shout.text\nreturn function() return f(nil), f == shout.text end") == "nil! true");
  CHECK(sent("function type() return 'mine' end\nreturn function() return type(1), shout.text(1) end") ==
        "mine number!");
  CHECK(sent("setmetatable(_G, {__index = function(_, k) error('strict: ' .. k) end})\n"
             "return function() return shout.text(1) end") == "number!");
  CHECK(sent("shout = 'own'\nreturn function() return shout, require('shout').text(1), shout end") ==
        "own number! own");
}

TEST_CASE("errors name file and line in the receiver") {
  CHECK(sent("return function()\n  error('boom')\nend") == "error: tasks.lua:2: boom");
}

TEST_CASE("what cannot travel is refused with its whole path") {
  CHECK(
      sent("local pool = {conn = coroutine.create(function() end)}\n\nreturn function() return pool end") ==
      "refused: task \"t\": cannot send capture \"pool.conn\" (thread) used at tasks.lua:3; create it inside "
      "the function that uses it");
  CHECK(sent("local f = io.stdout\nreturn function() return f end") ==
        "refused: task \"t\": cannot send capture \"f\" (userdata) used at tasks.lua:2; create it inside the "
        "function that uses it");
  CHECK(sent("local f = setfenv(function() return x end, {x = 1})\nreturn function() return f() end") ==
        "refused: task \"t\": cannot send capture \"f\" (function with an environment of its own (setfenv)) "
        "used at "
        "tasks.lua:1; hand it what it needs as arguments or captures");
}

TEST_CASE("an object may say itself what travels in its place") {
  CHECK(sent("local o = setmetatable({name = 'build'}, {__portable = function(self) return self.name end})\n"
             "return function() return o end") == "build");
}

TEST_CASE("two functions of one store share what they capture") {
  Sender sender(
      "local t = {n = 0}\nreturn function() t.n = t.n + 1 return t.n end, function() return t.n end");
  auto first = sender.add(1);
  auto second = sender.add(2);
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  Receiver receiver(sender.finish());
  CHECK(receiver.call(*first) == "1");
  CHECK(receiver.call(*first) == "2");
  CHECK(receiver.call(*second) == "2");
}

TEST_CASE("a captured table whose content changed is named") {
  Sender sender("local seen, kept = {}, {1}\nreturn function() seen[1] = kept[1] end");
  auto object = sender.add();
  REQUIRE(object.ok());
  Receiver receiver(sender.finish());
  receiver.call(*object);
  CHECK(receiver.changed() == std::vector<std::string>{"seen"});
}

}  // namespace
}  // namespace sloth::testing
