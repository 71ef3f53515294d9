#include "runner/lua/value_codec.h"

#include <catch2/catch.hpp>

#include "runner/base/json.h"

namespace sloth::testing {
namespace {

// What `return <text>` becomes, as JSON, or the refusal.
std::string read(const std::string& text, CodecLimits limits = {}) {
  lua_State* L = luaL_newstate();
  luaL_openlibs(L);
  REQUIRE(luaL_dostring(L, ("return " + text).c_str()) == 0);
  auto value = to_value(L, -1, "outputs", limits);
  std::string result =
      value ? std::string(kind_name(value->kind())) + " " + to_json(*value) : value.error().message;
  if (value) {
    push_value(L, *value);
    auto again = to_value(L, -1, "outputs", limits);
    REQUIRE(again.ok());
    CHECK(*again == *value);
  }
  lua_close(L);
  return result;
}

TEST_CASE("Lua values become Values and come back the same") {
  CHECK(read("nil") == "nil null");
  CHECK(read("true") == "boolean true");
  CHECK(read("2.5") == "number 2.5");
  CHECK(read("9007199254740991") == "number 9007199254740991");
  CHECK(read("'a\\0b'") == "string \"a\\u0000b\"");
  CHECK(read("{}") == "map {}");
  CHECK(read("{1, 2, {3}}") == "list [1,2,[3]]");
  CHECK(read("{n = 3, 1, nil, 3}") == "list [1,null,3]");
  CHECK(read("{a = 1, [2] = 'x', [true] = 0}") == "map {\"2\":\"x\",\"a\":1,\"true\":0}");
  CHECK(read("{n = 5}") == "map {\"n\":5}");
}

TEST_CASE("what cannot be sent is refused with its path") {
  CHECK(read("{a = {b = {1, 2, print}}}") == "outputs.a.b[3] is a function, which cannot be sent");
  CHECK(read("{x = coroutine.create(print)}") == "outputs.x is a thread, which cannot be sent");
  CHECK(read("(function() local t = {} t.me = {t} return t end)()") ==
        "outputs.me[1] contains itself, which cannot be sent");
  CHECK(read("(function() local t = {} for i = 1, 150 do t = {t} end return t end)()")
            .find("nested deeper than 100") != std::string::npos);
  CHECK(read("{[print] = 1}") == "outputs has a function as a key, which cannot be sent");
  CHECK(read("{big = ('x'):rep(2000)}", {.bytes = 1000}) ==
        "outputs.big makes the whole larger than 1000 bytes");
}

}  // namespace
}  // namespace sloth::testing
