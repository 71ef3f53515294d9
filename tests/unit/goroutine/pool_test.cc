#include "tests/unit/goroutine/support.h"

namespace sloth::testing {
namespace {

TEST_CASE("submit, wait, stats, close, in that order, as the user's document does") {
  Goroutines lua;
  CHECK(lua.text(R"(
    goroutine.pool_create("etl", { workers = 8 })
    for i = 1, 8 do goroutine.pool_submit("etl", function() goroutine.sleep(1) end) end
    local ok, report = goroutine.pool_wait("etl")
    local s = goroutine.pool_stats("etl")
    return ok, report.failed, s.completed, s.failed, s.workers, s.active, s.queued, goroutine.pool_close("etl"),
      goroutine.pool_close("etl"))") == "true 0 8 0 8 0 0 true false");
}

TEST_CASE("all of 10,000 jobs run, ten at a time at most, in order") {
  Goroutines lua;
  CHECK(lua.text(R"(
    goroutine.pool_create("p", { workers = 10 })
    local now, most, ran, sorted, last = 0, 0, 0, true, 0
    for i = 1, 10000 do
      goroutine.pool_submit("p", function()
        now = now + 1
        if now > most then most = now end
        if i < last then sorted = false end
        last = i
        goroutine.sleep(0)
        now = now - 1
        ran = ran + 1
      end)
    end
    goroutine.pool_wait("p")
    goroutine.pool_close("p")
    return ran, most, sorted)") == "10000 10 true");
}

TEST_CASE("a pool is usable again after pool_wait") {
  Goroutines lua;
  CHECK(lua.text("goroutine.pool_create('p') local n = 0 for round = 1, 3 do\n"
                 "goroutine.pool_submit('p', function(x) n = n + x end, round) goroutine.pool_wait('p') end\n"
                 "goroutine.pool_close('p') return n") == "6");
}

TEST_CASE("a full queue waits for room, or says so when asked to") {
  Goroutines lua;
  CHECK(lua.text(R"(
    goroutine.pool_create("p", { workers = 1, queue = 2, on_full = "error" })
    local answers = {}
    for i = 1, 4 do
      local id, problem = goroutine.pool_submit("p", goroutine.sleep, 1)
      answers[i] = id or problem
    end
    goroutine.pool_wait("p")
    goroutine.pool_close("p")
    return answers)") == "[\"p-1\",\"p-2\",\"pool queue is full\",\"pool queue is full\"]");
}

TEST_CASE("results of jobs are there for who asks") {
  Goroutines lua;
  CHECK(lua.text(R"(
    goroutine.pool_create("p", { workers = 2 })
    local a = goroutine.pool_submit("p", function(x) goroutine.sleep(2) return x, nil, 3 end, 1)
    local b = goroutine.pool_submit("p", function() error("bad", 0) end)
    local c = goroutine.pool_submit("p", function() end)
    local r = { goroutine.pool_result("p", a) }
    local ok, e = goroutine.pool_result("p", b)
    local c1 = goroutine.pool_result("p", c)
    local none, why = goroutine.pool_result("p", "p-9")
    goroutine.pool_close("p")
    return r[1], r[2], r[3], r[4], ok, e, c1, none, why)") ==
        "true 1 null 3 false \"bad\" true false \"job not found: p-9\"");
}

TEST_CASE("a failed job is logged at once and fails the task when nothing looked at it") {
  Goroutines lua;
  auto ran = lua.run(
      "goroutine.pool_create('tests')\nfor i = 1, 5 do goroutine.pool_submit('tests', function()\n"
      "if i == 3 then error('broken') end end) end\ngoroutine.pool_close('tests')");
  CHECK(lua.log.find("pool \"tests\": job tests-3 failed: test.lua:3: broken") != std::string::npos);
  REQUIRE(ran.outcome.unawaited.size() == 1);
  CHECK(ran.outcome.unawaited[0].message == "pool \"tests\": 1 of 5 jobs failed and nothing looked at it");
  const std::string job = "goroutine.pool_create('t') goroutine.pool_submit('t', error) ";
  CHECK(lua.run(job + "goroutine.pool_wait('t') goroutine.pool_close('t')").outcome.unawaited.size() == 1);
  ran = lua.run(job +
                "local ok, report = goroutine.pool_wait('t') goroutine.pool_close('t') return report.failed, "
                "#report.errors");
  CHECK(ran.text() == "1 1");
  CHECK(ran.outcome.unawaited.empty());
  CHECK(lua.run(job + "goroutine.pool_wait('t') goroutine.pool_stats('t') goroutine.pool_close('t')")
            .outcome.unawaited.empty());
}

TEST_CASE("pools left open are named, many of them in one line") {
  Goroutines lua;
  auto ran = lua.run("goroutine.pool_create('leak', {})");
  CHECK(ran.outcome.warnings ==
        std::vector<std::string>{
            "pool \"leak\" (made at test.lua:1) was never closed; goroutine.pool_close ends it"});
  ran = lua.run("for i = 1, 1000 do goroutine.pool_create('pool' .. i, {}) end");
  REQUIRE(ran.outcome.warnings.size() == 1);
  CHECK(ran.outcome.warnings[0].starts_with("1000 pools were never closed"));
}

TEST_CASE("wrong use of pools is told") {
  Goroutines lua;
  CHECK(lua.text("goroutine.pool_create('p')\ngoroutine.pool_create('p')") ==
        "error: test.lua:2: pool \"p\" already exists (made at test.lua:1)");
  CHECK(lua.text("goroutine.pool_create('p') goroutine.pool_close('p') return goroutine.pool_create('p'), "
                 "goroutine.pool_close('p')") == "true true");
  for (const char* workers : {"0", "-1", "1.5", "'ten'", "1e9"}) {
    CHECK(lua.text(std::string("goroutine.pool_create('p', {workers = ") + workers + "})")
              .find("bad option \"workers\"") != std::string::npos);
  }
  CHECK(lua.text("goroutine.pool_create('p', {wokers = 3})").find("unknown option \"wokers\"") !=
        std::string::npos);
  CHECK(lua.text("return goroutine.pool_submit('none', print)") == "null \"pool not found: none\"");
  CHECK(lua.text("return goroutine.pool_wait('none')") == "false \"pool not found: none\"");
  CHECK(lua.text("return goroutine.pool_stats('none'), goroutine.pool_close('none')") == "null false");
  CHECK(
      lua.text(
          "goroutine.pool_create('p') goroutine.pool_close('p') return goroutine.pool_submit('p', print)") ==
      "null \"pool is closed\"");
}

TEST_CASE("a timeout around a pool ends its jobs") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local ok, e = goroutine.timeout(20, function()
      goroutine.pool_create("p", { workers = 2 })
      for i = 1, 10 do goroutine.pool_submit("p", goroutine.sleep, 60000) end
      goroutine.pool_wait("p")
    end)
    return ok, e)") == "false \"timeout exceeded\"");
}

}  // namespace
}  // namespace sloth::testing
