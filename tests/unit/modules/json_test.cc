#include "modules/json.h"

#include <catch2/catch.hpp>

#include "tests/support/lua_fixture.h"
#include "tests/support/stub_examples.h"

using namespace sloth;
using sloth::testing::LuaFixture;

namespace {

struct JsonFixture : LuaFixture {
  JsonFixture() : LuaFixture([](Executor&) { return std::vector<Module>{json_module()}; }) {}
  // The first result, a string, as it is.
  std::string encoded(const std::string& expression) {
    auto ran =
        run("local text = json.encode(" + expression + ") return text");  // a tail call would hide the name
    return ran.ok() ? ran.results.at(0).as_string() : "error: " + ran.error();
  }
};

}  // namespace

TEST_CASE("json: values are encoded in sorted order") {
  JsonFixture lua;
  CHECK(lua.encoded("{b = 1, a = {1, 'x', true}, c = {}}") == R"({"a":[1,"x",true],"b":1,"c":{}})");
  CHECK(lua.encoded("nil") == "null");
  CHECK(lua.encoded("1.5") == "1.5");
  CHECK(lua.encoded("2^53") == "9007199254740992");
  CHECK(lua.encoded("'a\\n\"\\\\'") == R"("a\n\"\\")");
  CHECK(lua.encoded("{[1] = 'a', [3] = 'b'}") == R"({"1":"a","3":"b"})");
  CHECK(lua.encoded("{[1] = 'a', [3] = 'b', n = 3}") == R"(["a",null,"b"])");
  CHECK(lua.encoded("{1, 2, x = 3}") == R"({"1":1,"2":2,"x":3})");
  CHECK(lua.encoded("{[1e9] = 1, n = 1e9}") == R"({"1000000000":1,"n":1000000000})");
}

TEST_CASE("json: empty lists need a mark, and null has one") {
  JsonFixture lua;
  CHECK(lua.encoded("json.array()") == "[]");
  CHECK(lua.encoded("{a = json.array({}), b = json.array({1})}") == R"({"a":[],"b":[1]})");
  CHECK(lua.encoded("{json.null, json.null}") == "[null,null]");
  CHECK_THAT(lua.encoded("json.array({x = 1})"),
             Catch::Contains("value is marked as a list but has other keys"));
  CHECK(lua.run("return tostring(json.null)").text() == R"("null")");
  CHECK_THAT(lua.run("json.null.x = 1").error(), Catch::Contains("cannot be changed"));
}

TEST_CASE("json: indentation") {
  JsonFixture lua;
  CHECK(lua.encoded("{a = 1}, {pretty = true}") == "{\n  \"a\": 1\n}");
  CHECK(lua.encoded("{a = 1}, {indent = 4}") == "{\n    \"a\": 1\n}");
  CHECK_THAT(lua.encoded("{a = 1}, {indent = -1}"), Catch::Contains("bad option \"indent\""));
  CHECK_THAT(lua.encoded("{a = 1}, {indnet = 1}"), Catch::Contains("did you mean \"indent\"?"));
}

TEST_CASE("json: what JSON cannot hold is refused with its path") {
  JsonFixture lua;
  CHECK_THAT(lua.encoded("{a = {1, print}}"),
             Catch::Contains("bad argument #1 to 'encode' (value.a[2] is a function"));
  CHECK_THAT(lua.encoded("{a = 0/0}"), Catch::Contains("value.a is not a number (nan)"));
  CHECK_THAT(lua.encoded("{-1/0}"), Catch::Contains("value[1] is infinite"));
  CHECK_THAT(lua.encoded("(function() local t = {} t.me = {t} return t end)()"),
             Catch::Contains("value.me[1] contains itself"));
  CHECK_THAT(lua.encoded("(function() local t = {} for i = 1, 500 do t = {t} end return t end)()"),
             Catch::Contains("is nested deeper than 200"));
  CHECK_THAT(lua.encoded("{[{}] = 1}"), Catch::Contains("value has a table as a key"));
  CHECK_THAT(lua.encoded("{[1.5] = 1, ['1.5'] = 2}"), Catch::Contains("two keys that are both \"1.5\""));
}

TEST_CASE("json: texts are decoded") {
  JsonFixture lua;
  CHECK(lua.run(R"(return json.decode('{"a":[1,2.5,"x",true,{}]}'))").text() ==
        R"({"a":[1,2.5,"x",true,{}]})");
  CHECK(lua.run("local t = json.decode('[1,null,3]') return #t >= 1, t.n, t[2], t[3]").text() ==
        "true 3 null 3");
  CHECK(lua.run("return json.decode('null')").text() == "null");
  CHECK(lua.run(R"(return json.encode(json.decode('{"a":[],"b":{},"c":[[],[null]]}')))")
            .results.at(0)
            .as_string() == R"({"a":[],"b":{},"c":[[],[null]]})");
}

TEST_CASE("json: what is no JSON gives nil and the place") {
  JsonFixture lua;
  auto ran = lua.run("return json.decode('{\\n \"a\": }')");
  REQUIRE(ran.results.size() == 2);
  CHECK(ran.results[0].is_nil());
  CHECK_THAT(ran.results[1].as_string(), Catch::Contains("line 2"));
  CHECK(lua.run("return (json.decode(''))").text() == "null");
  CHECK(lua.run("return (json.decode(string.rep('[', 1000)))").text() == "null");
  CHECK_THAT(lua.run("json.decode(5)").error(),
             Catch::Contains("bad argument #1 to 'decode' (string expected"));
}

TEST_CASE("json: the examples of the stub run") {
  JsonFixture lua;
  const auto examples = sloth::testing::stub_examples(json_module().stub);
  CHECK(examples.size() == 4);
  for (const auto& example : examples) {
    INFO("line " << example.line);
    CHECK(lua.run(example.text).text() == "");
  }
}
