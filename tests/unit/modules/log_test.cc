#include "modules/log.h"

#include <catch2/catch.hpp>
#include <tuple>

#include "tests/support/lua_fixture.h"
#include "tests/support/stub_examples.h"

using namespace sloth;
using sloth::testing::LuaFixture;

namespace {

struct LogFixture : LuaFixture {
  LogFixture() : LuaFixture([](Executor&) { return std::vector<Module>{log_module()}; }) {
    host.log = [this](Severity severity, std::string_view text, const Value& fields) {
      lines.push_back(std::string(severity_name(severity)) + " " + std::string(text) + " " + to_json(fields));
    };
  }
  std::vector<std::string> lines;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("log: each function has its severity") {
  LogFixture lua;
  REQUIRE(
      lua.run("log.debug('a') log.info('b') log.success('c') log.warn('d') log.warning('e') log.error('f')")
          .ok());
  CHECK(lua.lines ==
        Lines{"debug a {}", "info b {}", "success c {}", "warn d {}", "warn e {}", "error f {}"});
}

TEST_CASE("log: the message may be anything, the way tostring shows it") {
  LogFixture lua;
  REQUIRE(lua.run(R"(
    log.info(nil) log.info(true) log.info(1.5) log.info(3)
    log.info(setmetatable({}, {__tostring = function() return "shown" end})))")
              .ok());
  CHECK(lua.lines == Lines{"info nil {}", "info true {}", "info 1.5 {}", "info 3 {}", "info shown {}"});
  REQUIRE(lua.run("log.info({})").ok());
  CHECK(lua.lines.back().rfind("info table: 0x", 0) == 0);
}

TEST_CASE("log: fields are kept as data") {
  LogFixture lua;
  REQUIRE(lua.run("log.info('x', {a = 1, b = {true, 'y'}}) log.info('list', {'p', 'q'})").ok());
  CHECK(lua.lines == Lines{R"(info x {"a":1,"b":[true,"y"]})", R"(info list {"1":"p","2":"q"})"});
}

TEST_CASE("log: wrong use raises and names the argument") {
  LogFixture lua;
  CHECK_THAT(lua.run("log.info()").error(), Catch::Contains("test.lua:1: bad argument #1 to 'info'"));
  CHECK_THAT(lua.run("log.info('a', 'b')").error(),
             Catch::Contains("bad argument #2 to 'info' (table expected"));
  CHECK_THAT(lua.run("log.info('a', {f = print})").error(), Catch::Contains("fields.f is a function"));
  CHECK(lua.lines.empty());
}

TEST_CASE("log: the examples of the stub run") {
  LogFixture lua;
  const auto examples = sloth::testing::stub_examples(log_module().stub);
  CHECK(examples.size() == 2);
  for (const auto& example : examples) {
    INFO("line " << example.line);
    CHECK(lua.run(example.text).text() == "");
  }
}
