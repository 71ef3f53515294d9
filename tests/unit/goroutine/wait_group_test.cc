// wait_group, deadlocks and leaks.
#include "tests/unit/goroutine/support.h"

namespace sloth::testing {
namespace {

TEST_CASE("a wait group waits for its count") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local wg, t = goroutine.wait_group(), {}
    wg:add(3)
    for i = 1, 3 do goroutine.spawn(function() goroutine.sleep(4 - i) t[#t + 1] = i wg:done() end) end
    wg:wait()
    return #t, wg:wait())") == "3 true");
  CHECK(lua.text("local wg = goroutine.wait_group() wg:done()") ==
        "error: test.lua:1: sync: negative WaitGroup counter");
  CHECK(lua.text(
            "local wg = goroutine.wait_group() wg:add(1) pcall(wg.add, wg, -2) wg:done() return wg:wait()") ==
        "true");
  CHECK(lua.text("local wg = goroutine.wait_group() wg:add() return wg:wait(1)") ==
        "false \"timeout exceeded\"");
  CHECK(lua.text("local wg = goroutine.wait_group() wg.add(1)").find("colon") != std::string::npos);
  CHECK(lua.text("local wg = goroutine.wait_group() local h = wg:go(function(x) error(x, 0) end, 'e')\n"
                 "wg:wait() return h:await()") == "false \"e\"");
}

TEST_CASE("a deadlock is an error at the wait that names everybody") {
  Goroutines lua;
  const auto ran = lua.run("local wg = goroutine.wait_group()\nwg:add(1)\nwg:wait()");
  CHECK(ran.error() ==
        "test.lua:3: all goroutines are waiting (deadlock)\n  the main function waits in wait_group:wait at "
        "test.lua:3");
  CHECK(lua.text("local a, b\na = goroutine.async(function() goroutine.sleep(0) b:await() end)\n"
                 "b = goroutine.async(function() return a:await() end)\nreturn a:await()") ==
        "error: all goroutines are waiting (deadlock)\n"
        "  the main function waits in await at a returned call (return wait(...))\n"
        "  goroutine 3 waits in await at test.lua:2 (function at test.lua:2)\n"
        "  goroutine 4 waits in await at a returned call (return wait(...))");
  CHECK(lua.text("return pcall(function() local c = goroutine.channel() c:receive() end)").find("deadlock") !=
        std::string::npos);
}

TEST_CASE("an error before done() is shown first, the deadlock after it") {
  Goroutines lua;
  const auto ran = lua.run(
      "local wg = goroutine.wait_group()\nwg:add(1)\ngoroutine.spawn(function() error('no file') wg:done() "
      "end)\nwg:wait()");
  CHECK(lua.log.find("goroutine failed: test.lua:3: no file") != std::string::npos);
  CHECK(ran.error().find("deadlock") != std::string::npos);
  REQUIRE(ran.outcome.unawaited.size() == 1);
  CHECK(ran.outcome.unawaited[0].message == "test.lua:3: no file");
}

TEST_CASE("a goroutine that can never wake after the main function is a leak, not a failure") {
  Goroutines lua;
  const auto ran = lua.run(
      "local c = goroutine.channel()\ngoroutine.spawn(function() c:receive() end)\ngoroutine.sleep(1)");
  CHECK(ran.ok());
  REQUIRE(ran.outcome.warnings.size() == 1);
  CHECK(ran.outcome.warnings[0].find("waits in channel:receive at test.lua:2") != std::string::npos);
}

TEST_CASE("a script that catches deadlocks for ever is ended") {
  Goroutines lua;
  const auto ran = lua.run("local c = goroutine.channel() while true do pcall(c.receive, c) end");
  CHECK(ran.outcome.kind != RootOutcome::Kind::kReturned);
}

}  // namespace
}  // namespace sloth::testing
