#include "runner/dsl/source_text.h"

#include <catch2/catch.hpp>

#include "runner/dsl/names.h"

namespace sloth {
namespace {

SourceText text_of(std::string_view bytes) { return *SourceText::read("tasks.lua", bytes); }

TEST_CASE("a byte order mark and a #! line leave the line numbers alone") {
  CHECK(text_of("\xef\xbb\xbflocal x").text() == "local x");
  CHECK(text_of("#!/usr/bin/env sloth\nlocal x").text() == "--/usr/bin/env sloth\nlocal x");
  CHECK(text_of("#!/usr/bin/env sloth\nlocal x").excerpt(2) == "  2 | local x");
}

TEST_CASE("lines end with LF, CRLF or CR") {
  const SourceText source = text_of("a\nb\r\nc\rd");
  CHECK(source.excerpt(2) == "  2 | b");
  CHECK(source.excerpt(3) == "  3 | c");
  CHECK(source.excerpt(4) == "  4 | d");
  CHECK(source.excerpt(5).empty());
  CHECK(source.excerpt(0).empty());
}

TEST_CASE("an excerpt is cut and escaped") {
  CHECK(text_of("\tx = '\xff\x1b[31m'  ").excerpt(1) == "  1 |  x = '\\xff\\x1b[31m'");
  CHECK(text_of(std::string(500, 'x')).excerpt(1) == "  1 | " + std::string(120, 'x') + "...");
}

TEST_CASE("a declaration is found inside its own table only") {
  const SourceText source = text_of(R"(
timeout = 1 -- build = 2
first {
  build = { timeout = 3 },
  ["the test"] = "build = 4",
}
second({
  build = {
    timeout = 3,
  },
  --[[ lint = { } ]]
  { name = "deploy" },
}) lint = 5
)");
  CHECK(source.declared_inside("build", 3) == 4);
  CHECK(source.declared_inside("the test", 3) == 5);
  CHECK(source.declared_inside("build", 7) == 8);
  CHECK(source.declared_inside("timeout", 8) == 9);
  CHECK(source.declared_inside("deploy", 7) == 12);
  CHECK(source.declared_inside("lint", 3) == 0);
  CHECK(source.declared_at("lint", 3) == 13);
  CHECK(source.declared_at("timeout", 11) == 0);
}

TEST_CASE("odd texts are scanned to their end") {
  for (const std::string_view text :
       {"'", "\"abc\\", "[[", "[==[ ]=]", "--[[", "a['", "}}))", "((({{{", "name =", "= = ="}) {
    CHECK(text_of(text).declared_at("x", 1) == 0);
  }
}

TEST_CASE("names follow their grammar") {
  CHECK(wrong_with_name("Construção ✅ 1").empty());
  CHECK(wrong_with_name("a\xc2\x85") == "holds a control character");
  CHECK(wrong_with_name("\xc0\xaf") == "is not valid UTF-8");
  CHECK(wrong_with_name("\xed\xa0\x80") == "is not valid UTF-8");
  CHECK(wrong_with_name("\xf4\x90\x80\x80") == "is not valid UTF-8");
  CHECK(wrong_with_name("\xe2\x82") == "is not valid UTF-8");
  CHECK(wrong_with_agent("Web-1.eu_2").empty());
  CHECK(wrong_with_agent(std::string(63, 'a')).empty());
  CHECK(wrong_with_variable("_A1").empty());
  CHECK(printable("a\nb\xff"
                  "c✅") == "a\\x0ab\\xffc✅");
}

}  // namespace
}  // namespace sloth
