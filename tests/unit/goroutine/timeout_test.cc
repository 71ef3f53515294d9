// timeout, the root's own deadline, cancel of a root: what they end, and how.
#include "tests/support/sanitizer.h"
#include "tests/unit/goroutine/support.h"

namespace sloth::testing {
namespace {

// Endless loops are left out where no signal reaches them.
std::vector<std::string> bodies(std::vector<std::string> waits, const std::vector<std::string>& loops) {
  if (kSignalsAreHeldBack) {
    WARN("left out: " << loops.size() << " endless loops, signals are held back");
  } else {
    waits.insert(waits.end(), loops.begin(), loops.end());
  }
  return waits;
}

TEST_CASE("timeout passes results and errors through") {
  Goroutines lua;
  CHECK(lua.text("return goroutine.timeout(5000, function(a, b) return b, nil, a end, 1, 2)") ==
        "true 2 null 1");
  CHECK(lua.text("return goroutine.timeout(5000, function() goroutine.sleep(1) return 'late' end)") ==
        "true \"late\"");
  CHECK(lua.text("return goroutine.timeout(5000, function() error('x') end)") == "false \"test.lua:1: x\"");
  CHECK(lua.text("goroutine.timeout(0, function() end)").find("bad argument #1") != std::string::npos);
  CHECK(lua.text("goroutine.timeout(10)").find("bad argument #2") != std::string::npos);
}

TEST_CASE("timeout ends loops of every kind") {
  for (const bool jit : {true, false}) {
    Goroutines lua({.jit = jit});
    for (const std::string& body :
         bodies({"goroutine.sleep(60000)"},
                {"while true do end", "while true do pcall(function() while true do end end) end",
                 "while true do pcall(goroutine.sleep, 1) end", "repeat until false",
                 "local t = {} while true do t[#t % 100 + 1] = {} end",
                 "coroutine.wrap(function() while true do end end)()",
                 "goroutine.timeout(60000, function() while true do end end)"})) {
      INFO(body);
      CHECK(lua.text("return goroutine.timeout(30, function() " + body + " end)") ==
            "false \"timeout exceeded\"");
    }
  }
}

TEST_CASE("by the time a timeout returns, all that its function started is gone") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local ticks = 0
    local ok, e = goroutine.timeout(20, function()
      goroutine.spawn(function() while true do goroutine.sleep(1) ticks = ticks + 1 end end)
      goroutine.sleep(60000)
    end)
    local at_return = ticks
    goroutine.sleep(20)
    return ok, e, ticks == at_return, goroutine.stats().live)") == "false \"timeout exceeded\" true 1");
}

TEST_CASE("cleanup code runs once after a timeout, and not for ever") {
  if (bodies({}, {"cleanup"}).empty()) return;
  Goroutines lua;
  CHECK(lua.text(R"(
    local cleaned
    local ok, e = goroutine.timeout(20, function()
      local ok, why = pcall(goroutine.sleep, 60000)
      cleaned = why
      while true do end
    end)
    return ok, e, cleaned)") == "false \"timeout exceeded\" \"timeout exceeded\"");
}

TEST_CASE("goroutines left behind by a function that ended in time live on") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local done = false
    local ok = goroutine.timeout(1000, function()
      goroutine.spawn(function() goroutine.sleep(10) done = true end)
    end)
    goroutine.sleep(30)
    return ok, done)") == "true true");
}

TEST_CASE("a timeout does not touch others that run meanwhile") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local h = goroutine.async(function()
      local s = 0
      for round = 1, 30 do for i = 1, 1e6 do s = s + i % 3 end goroutine.sleep(0) end
      return 'whole'
    end)
    local ok, e = goroutine.timeout(5, function() goroutine.sleep(60000) end)
    return ok, e, h:await())") == "false \"timeout exceeded\" true \"whole\"");
}

TEST_CASE("a root's own deadline ends endless loops and waits") {
  Goroutines lua;
  for (const std::string& body :
       bodies({"goroutine.sleep(60000)"},
              {"while true do end", "while true do pcall(function() while true do end end) end"})) {
    const auto ran = lua.run(body, std::chrono::milliseconds(30));
    CHECK(ran.outcome.kind == RootOutcome::Kind::kTimedOut);
  }
}

TEST_CASE("a root is cancelled from another thread, also in a loop") {
  Goroutines lua;
  for (const std::string& body : bodies({"goroutine.sleep(60000)"}, {"while true do end"})) {
    std::thread other([&] {
      while (lua.last_root == 0) std::this_thread::yield();
      // Asked again and again: it may not have started yet.
      for (int i = 0; i < 50; ++i) {
        lua.scheduler().cancel_root(lua.last_root, "stop it");
        std::this_thread::yield();
      }
    });
    const auto ran = lua.run(body);
    other.join();
    CHECK(ran.outcome.kind == RootOutcome::Kind::kCancelled);
    CHECK(ran.error() == "stop it");
    lua.last_root = 0;
  }
}

TEST_CASE("ten thousand timeouts that end in time leave nothing") {
  Goroutines lua;
  CHECK(lua.text("for i = 1, 10000 do assert(goroutine.timeout(60000, function() return i end)) end\n"
                 "return goroutine.stats().live") == "1");
}

}  // namespace
}  // namespace sloth::testing
