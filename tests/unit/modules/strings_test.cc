#include "modules/strings.h"

#include <catch2/catch.hpp>

#include "tests/support/lua_fixture.h"
#include "tests/support/stub_examples.h"

using namespace sloth;
using sloth::testing::LuaFixture;

namespace {

struct StringsFixture : LuaFixture {
  StringsFixture() : LuaFixture([](Executor&) { return std::vector<Module>{strings_module()}; }) {}
  std::string eval(const std::string& expression) { return run("return " + expression).text(); }
};

}  // namespace

TEST_CASE("strings: split keeps empty parts and honours the limit") {
  StringsFixture lua;
  CHECK(lua.eval("strings.split('a,b,,c,')") == R"(["a","b","","c",""])");
  CHECK(lua.eval("strings.split('', ',')") == R"([""])");
  CHECK(lua.eval("strings.split('a.b.c', '.')") == R"(["a","b","c"])");
  CHECK(lua.eval("strings.split('a::b::c', '::', 2)") == R"(["a","b::c"])");
  CHECK(lua.eval("strings.split('a,b', ',', 1)") == R"(["a,b"])");
}

TEST_CASE("strings: words and lines") {
  StringsFixture lua;
  CHECK(lua.eval("strings.words('  one\\ttwo \\n three')") == R"(["one","two","three"])");
  CHECK(lua.eval("#strings.words('  ')") == "0");
  CHECK(lua.eval("strings.lines('a\\r\\n\\nb')") == R"(["a","","b"])");
  CHECK(lua.eval("strings.lines('a\\n')") == R"(["a"])");
  CHECK(lua.eval("strings.lines('\\r\\n')") == R"([""])");
  CHECK(lua.eval("strings.lines('\\n\\r')") == R"(["",""])");
  CHECK(lua.eval("#strings.lines('')") == "0");
}

TEST_CASE("strings: trimming") {
  StringsFixture lua;
  CHECK(lua.eval("strings.trim(' \\t a b \\r\\n')") == R"("a b")");
  CHECK(lua.eval("strings.trim('   ')") == R"("")");
  CHECK(lua.eval("strings.trim_start('  a ') .. '|', strings.trim_end('  a ') .. '|'") == R"("a |" "  a|")");
}

TEST_CASE("strings: questions") {
  StringsFixture lua;
  CHECK(lua.eval("strings.starts_with('abc', 'ab'), strings.starts_with('abc', ''), strings.starts_with('a', "
                 "'ab')") == "true true false");
  CHECK(lua.eval(
            "strings.ends_with('abc', 'bc'), strings.ends_with('abc', ''), strings.ends_with('c', 'bc')") ==
        "true true false");
  CHECK(lua.eval("strings.contains('a+b', '+'), strings.contains('ab', '.')") == "true false");
  CHECK(lua.eval("strings.is_empty(nil), strings.is_empty(' \\n'), strings.is_empty('x')") ==
        "true true false");
}

TEST_CASE("strings: joining, replacing, padding and case") {
  StringsFixture lua;
  CHECK(lua.eval("strings.join({1, 'b', false}, '-'), strings.join({})") == R"("1-b-false" "")");
  CHECK(lua.eval("strings.replace('a.b.c', '.', '%1')") == R"("a%1b%1c" 2)");
  CHECK(lua.eval("strings.replace('aaa', 'a', 'aa', 2)") == R"("aaaaa" 2)");
  CHECK(lua.eval("strings.replace('aaa', 'a', '', 0)") == R"("aaa" 0)");
  CHECK(lua.eval("strings.pad_left('é', 3, '·'), strings.pad_right('abc', 2), strings.pad_right('a', 3)") ==
        R"("··é" "abc" "a  ")");
  CHECK(lua.eval("strings.upper('aé'), strings.lower('AB'), strings.title('hello wORLD of_x 2nd')") ==
        R"("Aé" "ab" "Hello World Of_x 2Nd")");
}

TEST_CASE("strings: wrong use raises at the caller") {
  StringsFixture lua;
  CHECK(lua.run("strings.trim(5)").error() ==
        "test.lua:1: bad argument #1 to 'trim' (string expected, got 5)");
  CHECK(lua.run("\nstrings.split('a', '')").error() ==
        "test.lua:2: bad argument #2 to 'split' (non-empty string expected, got string)");
  CHECK(lua.run("strings.split('a', ',', 0)").error() ==
        "test.lua:1: bad argument #3 to 'split' (whole number from 1 up expected, got 0)");
  CHECK(lua.run("strings.join('a')").error() ==
        "test.lua:1: bad argument #1 to 'join' (table expected, got string)");
  CHECK(lua.run("strings.join({{}})").error() ==
        "test.lua:1: bad argument #1 to 'join' (item 1 is a table value)");
  CHECK(lua.run("strings.pad_left('a', 3, 'ab')").error() ==
        "test.lua:1: bad argument #3 to 'pad_left' (one character expected, got string)");
  CHECK(lua.run("strings.pad_left('a', 1e9)").error() ==
        "test.lua:1: bad argument #2 to 'pad_left' (number from 0 to 1000000 expected, got 1000000000)");
}

TEST_CASE("strings: the examples of the stub run") {
  StringsFixture lua;
  const auto examples = sloth::testing::stub_examples(strings_module().stub);
  CHECK(examples.size() == 11);
  for (const auto& example : examples) {
    INFO("line " << example.line);
    CHECK(lua.run(example.text).text() == "");
  }
}
