// The reliability page names its tests; each of them exists.
#include <catch2/catch.hpp>
#include <filesystem>
#include <regex>
#include <string>

#include "tests/docs/sandbox.h"

namespace fs = std::filesystem;
using Catch::Contains;
using sloth::testing::source_text;

namespace {

// Of the files of tests with that name, with literals that were broken over lines put together again.
std::string tests_of(const std::string& name) {
  const fs::path root = SLOTH_SOURCE_DIR;
  std::string text;
  for (const auto& entry : fs::recursive_directory_iterator(root / "tests")) {
    if (entry.path().filename() == name) text += source_text(fs::relative(entry.path(), root).string());
  }
  return std::regex_replace(text, std::regex("\"\\s+\""), "");
}

}  // namespace

TEST_CASE("each test that the reliability page names exists") {
  const std::string page = source_text("docs/reliability.md");
  const std::regex named("`([a-z_]+_test\\.cc)`: ((?:; )?\\*[^*]+\\*(?:; (?=\\*))?)+");
  const std::regex one("\\*([^*]+)\\*");
  int count = 0;
  for (std::sregex_iterator row(page.begin(), page.end(), named), end; row != end; ++row) {
    const std::string whole = row->str();
    const std::string tests = tests_of(row->str(1));
    for (std::sregex_iterator name(whole.begin(), whole.end(), one); name != end; ++name, ++count) {
      INFO(row->str(1));
      CHECK_THAT(tests, Contains("\"" + name->str(1) + "\""));
    }
  }
  CHECK(count > 30);
}
