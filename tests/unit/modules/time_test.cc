#include "modules/time.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>

#include "modules/log.h"
#include "modules/time_text.h"
#include "tests/support/lua_fixture.h"
#include "tests/support/stub_examples.h"

using namespace sloth;
using sloth::testing::LuaFixture;

namespace {

struct TimeFixture : LuaFixture {
  TimeFixture() : LuaFixture([](Executor&) { return std::vector<Module>{time_module(), log_module()}; }) {}
};

}  // namespace

TEST_CASE("time: RFC 3339 is read and written") {
  CHECK(*parse_rfc3339("1970-01-01T00:00:00Z") == 0);
  CHECK(*parse_rfc3339("2026-03-01T12:00:00+01:00") == 1772362800);
  CHECK(*parse_rfc3339("2026-03-01 12:00:00.250-00:30") == 1772368200.25);
  CHECK(*parse_rfc3339("2024-02-29t00:00:00z") == 1709164800);
  for (const char* bad : {"", "2026-03-01", "2026-3-1T00:00:00Z", "2023-02-29T00:00:00Z",
                          "2026-13-01T00:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T12:00:00",
                          "2026-03-01T12:00:00Zx", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00+0100"}) {
    INFO(bad);
    CHECK_FALSE(parse_rfc3339(bad));
  }
  CHECK(*format_rfc3339(0) == "1970-01-01T00:00:00Z");
  CHECK(*format_rfc3339(1772362800.25) == "2026-03-01T11:00:00.250Z");
  CHECK(*format_rfc3339(-0.5) == "1969-12-31T23:59:59.500Z");
  CHECK(*format_rfc3339(1.9996) == "1970-01-01T00:00:02Z");
  CHECK(*format_rfc3339(-62135596800.0) == "0001-01-01T00:00:00Z");
  CHECK_FALSE(format_rfc3339(1e15));
  CHECK_FALSE(format_rfc3339(std::nan("")));
}

TEST_CASE("time: layouts of strftime") {
  CHECK(*format_time(86400, "%Y/%m/%d %H:%M:%S %%", Zone::kUtc) == "1970/01/02 00:00:00 %");
  CHECK(*format_time(0, "", Zone::kUtc) == "");
  CHECK(format_time(0, std::string(200, 'x') + "%A%A%A%A", Zone::kUtc)->size() > 220);
  CHECK(*parse_time("02/01/1970", "%d/%m/%Y", Zone::kUtc) == 86400);
  CHECK(*parse_time("1970-01-01 01:00 +0100", "%Y-%m-%d %H:%M %z", Zone::kLocal) == 0);
  CHECK_FALSE(parse_time("02/01/1970 x", "%d/%m/%Y", Zone::kUtc));
  CHECK_FALSE(parse_time("yesterday", "%d/%m/%Y", Zone::kUtc));
  const double now = 1772362800;
  CHECK(*parse_time(*format_time(now, "%Y-%m-%d %H:%M:%S", Zone::kLocal), "%Y-%m-%d %H:%M:%S",
                    Zone::kLocal) == now);
}

TEST_CASE("time: the clocks advance") {
  TimeFixture lua;
  CHECK(lua.run(R"(
    local wall, ms, start = time.now(), time.now_ms(), time.monotonic()
    time.sleep(0.02)
    assert(wall > 1.6e9 and math.abs(ms / 1000 - wall) < 1 and ms % 1 == 0)
    local passed = time.monotonic() - start
    assert(passed >= 0.02 and passed < 5, passed)
    return time.sleep(0))")
            .text() == "");
}

TEST_CASE("time: a sleeping task can be cut short") {
  TimeFixture lua;
  const auto start = std::chrono::steady_clock::now();
  const auto ran = lua.run("time.sleep('1h')", std::chrono::milliseconds(50));
  CHECK(ran.outcome.kind == RootOutcome::Kind::kTimedOut);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("time: durations as text") {
  TimeFixture lua;
  CHECK(lua.run("return time.duration('1h30m'), time.duration('250ms')").text() == "5400 0.25");
  CHECK(lua.run("return (time.duration('soon'))").text() == "null");
  CHECK(lua.run("return time.format_duration(0.012), time.format_duration(3720)").text() ==
        R"("12ms" "1h02m")");
}

TEST_CASE("time: wrong use raises with the user's position") {
  TimeFixture lua;
  CHECK_THAT(lua.run("\ntime.sleep(-1)").error(),
             Catch::StartsWith("test.lua:2: bad argument #1 to 'sleep'"));
  CHECK_THAT(lua.run("time.sleep()").error(), Catch::StartsWith("test.lua:1: bad argument #1 to 'sleep'"));
  CHECK_THAT(lua.run("time.sleep('soon')").error(), Catch::Contains("\"soon\" is not a duration"));
  CHECK_THAT(lua.run("time.format(0, '%Y', 'cet')").error(),
             Catch::Contains("\"local\" or \"utc\" expected"));
  CHECK_THAT(lua.run("time.format(0/0)").error(), Catch::Contains("bad argument #1 to 'format'"));
}

TEST_CASE("time: the examples of the stub run") {
  TimeFixture lua;
  const auto examples = sloth::testing::stub_examples(time_module().stub);
  CHECK(examples.size() == 7);
  for (const auto& example : examples) {
    INFO("line " << example.line);
    CHECK(lua.run(example.text).text() == "");
  }
}
