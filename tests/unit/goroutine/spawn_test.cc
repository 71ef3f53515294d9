// spawn, async, await, handles; errors nobody awaited; leaks.
#include "tests/unit/goroutine/support.h"

namespace sloth::testing {
namespace {

TEST_CASE("goroutines share variables and run first in, first out") {
  Goroutines lua;
  CHECK(lua.text("local t = {} goroutine.spawn_many(3, function(id) t[#t + 1] = id end)\n"
                 "goroutine.sleep(1) return t") == "[1,2,3]");
  CHECK(lua.text("local n = 0 local function inc() local v = n goroutine.sleep(0) n = v + 1 end\n"
                 "local hs = goroutine.spawn_many(3, inc) goroutine.await_all(hs) return n") == "1");
}

TEST_CASE("arguments and results pass, nil among them") {
  Goroutines lua;
  CHECK(lua.text("return goroutine.await(goroutine.async(function(...) return select('#', ...), ... end, 1, "
                 "nil, 3, nil))") == "true 4 1 null 3 null");
  CHECK(lua.text("local h = goroutine.async(function() return 7 end)\n"
                 "return goroutine.await(h), select(2, goroutine.await(h)), h:status()") ==
        "true 7 \"done\"");
  CHECK(lua.text("local h = goroutine.async(function() error({code = 3}) end)\n"
                 "local ok, e = h:await() return ok, e.code, h:status()") == "false 3 \"failed\"");
}

TEST_CASE("await_all keeps the order given and names a hole") {
  Goroutines lua;
  CHECK(
      lua.text(
          "local function f(ms, v) return goroutine.async(function() goroutine.sleep(ms) return v end) end\n"
          "local r = goroutine.await_all({f(9, 'a'), f(1, 'b'), goroutine.async(function() error('x', 0) "
          "end)})\n"
          "return r[1].values[1], r[2].values[1], r[3].success, r[3].error, r[1].values.n") ==
      "\"a\" \"b\" false \"x\" 1");
  CHECK(lua.text("local h = goroutine.async(function() end) goroutine.await_all({h, nil, h})")
            .find("at index 2, got nil") != std::string::npos);
  CHECK(lua.text("goroutine.await(nil)").find("bad argument #1") != std::string::npos);
}

TEST_CASE("await with a deadline gives up, the goroutine goes on") {
  Goroutines lua;
  CHECK(lua.text("local h = goroutine.async(function() goroutine.sleep(30) return 5 end)\n"
                 "local ok, e = goroutine.await(h, 1) return ok, e, goroutine.await(h)") ==
        "false \"timeout exceeded\" true 5");
}

TEST_CASE("a root ends when all it started has ended") {
  Goroutines lua;
  CHECK(lua.text("done = 0 goroutine.spawn(function() goroutine.sleep(5)\n"
                 "goroutine.spawn(function() goroutine.sleep(5) done = 1 end) end)") == "");
  CHECK(lua.text("return done") == "1");
}

TEST_CASE("an error that nobody awaits is logged with its place and reported at the end") {
  Goroutines lua;
  const auto ran = lua.run("goroutine.spawn(function()\n  error('boom')\nend)");
  CHECK(ran.ok());
  REQUIRE(ran.outcome.unawaited.size() == 1);
  CHECK(ran.outcome.unawaited[0].message == "test.lua:2: boom");
  CHECK(lua.log.find("error: goroutine failed: test.lua:2: boom") == 0);
  CHECK(lua.log.find("whose function is at test.lua:1") != std::string::npos);
}

TEST_CASE("an error is somebody's business once awaited, detached, or both async and awaited later") {
  Goroutines lua;
  CHECK(lua.run("local h = goroutine.async(function() error('x') end) goroutine.sleep(2) h:await()")
            .outcome.unawaited.empty());
  CHECK(lua.log.empty());
  CHECK(lua.run("goroutine.spawn(function() error('x') end):detach()").outcome.unawaited.empty());
  CHECK(lua.run("goroutine.async(function() error('x') end)").outcome.unawaited.size() == 1);
  CHECK(lua.log.find("nobody awaited it") != std::string::npos);
}

TEST_CASE("an error in the main function ends what it started") {
  Goroutines lua;
  const auto ran = lua.run("goroutine.spawn(function() goroutine.sleep(60000) end) error('main')");
  CHECK(ran.error() == "test.lua:1: main");
}

TEST_CASE("cancel raises at the wait, runs cleanup, takes children along") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local seen = {}
    local h = goroutine.spawn(function()
      goroutine.spawn(function() local ok, e = pcall(goroutine.sleep, 60000) seen[#seen + 1] = 'child ' .. tostring(e) end)
      local ok, e = pcall(goroutine.sleep, 60000)
      seen[#seen + 1] = e
    end)
    goroutine.sleep(1)
    local first = h:cancel("enough")
    local ok, why = h:await()
    goroutine.sleep(1)
    table.sort(seen)
    return first, ok, why, seen, h:status(), h:cancel())") ==
        "true false \"enough\" [\"child enough\",\"enough\"] \"cancelled\" false");
}

TEST_CASE("a goroutine that was cancelled before it ran never runs") {
  Goroutines lua;
  CHECK(lua.text("local ran = false local h = goroutine.spawn(function() ran = true end) h:cancel()\n"
                 "goroutine.sleep(1) return ran, h:status()") == "false \"cancelled\"");
}

TEST_CASE("limits and misuse") {
  Goroutines lua({.goroutine_limit = 1000});
  CHECK(lua.text("while true do goroutine.spawn(function() end) end") ==
        "error: test.lua:1: too many goroutines (limit 1000)");
  CHECK(lua.text("goroutine.spawn(1)").find("bad argument #1") != std::string::npos);
  CHECK(lua.text("goroutine.sleep(-1)").find("bad argument #1") != std::string::npos);
  CHECK(lua.text("goroutine.sleep(0/0)").find("bad argument #1") != std::string::npos);
  CHECK(lua.text("local h h = goroutine.spawn(function() h:await() end) goroutine.sleep(1) return h:await()")
            .find("cannot await itself") != std::string::npos);
  CHECK(lua.text("return goroutine.nonsense").find("goroutine.nonsense is not available") !=
        std::string::npos);
}

TEST_CASE("waiting where Lua cannot yield says so") {
  Goroutines lua;
  CHECK(lua.text("table.sort({3, 2, 1}, function(a, b) goroutine.sleep(1) return a < b end)")
            .find("cannot wait here") != std::string::npos);
  CHECK(lua.text("string.gsub('abc', '.', function() goroutine.sleep(1) end)").find("cannot wait here") !=
        std::string::npos);
}

TEST_CASE("a wait inside a coroutine of the user's own parks the whole goroutine") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local order = {}
    local gen = coroutine.wrap(function()
      for i = 1, 3 do goroutine.sleep(2) coroutine.yield(i) end
    end)
    local h = goroutine.spawn(function() order[#order + 1] = 'other' end)
    for i = 1, 3 do local v = gen() order[#order + 1] = v end
    return order)") == "[\"other\",1,2,3]");
  CHECK(lua.text("local ch = goroutine.channel()\n"
                 "goroutine.spawn(function() coroutine.wrap(function() ch:send('v') end)() end)\n"
                 "return ch:receive()") == "\"v\" true");
  CHECK(lua.text("coroutine.yield(1)") == "error: attempt to yield from outside a coroutine");
}

TEST_CASE("100,000 goroutines sleep at the same time") {
  Goroutines lua;
  CHECK(lua.text("local n = 0 for i = 1, 100000 do goroutine.spawn(function() goroutine.sleep(10) n = n + 1 "
                 "end) end\n"
                 "goroutine.sleep(1) while n < 100000 do goroutine.sleep(5) end return n") == "100000");
}

}  // namespace
}  // namespace sloth::testing
