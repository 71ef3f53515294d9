#include "runner/os/path.h"

#include <cstdlib>

#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

TEST_CASE("a normal path has no dots, doubled or trailing slashes") {
  const std::pair<const char*, const char*> table[] = {
      {"", "."},
      {".", "."},
      {"./", "."},
      {"/", "/"},
      {"//", "/"},
      {"a", "a"},
      {"a/", "a"},
      {"./a", "a"},
      {"a//b", "a/b"},
      {"a/./b/", "a/b"},
      {"a/..", "."},
      {"a/../b", "b"},
      {"a/b/../..", "."},
      {"..", ".."},
      {"../a", "../a"},
      {"../../a", "../../a"},
      {"a/../../b", "../b"},
      {"/..", "/"},
      {"/../a", "/a"},
      {"/a/../../b/", "/b"},
      {"...", "..."},
      {"a/.b/..c", "a/.b/..c"},
      {"\xff/ /", "\xff/ "},
  };
  for (const auto& [path, normal] : table) {
    INFO(path);
    CHECK(normal_path(path) == normal);
    CHECK(normal_path(normal) == normal);
  }
}

TEST_CASE("joining normalises and an absolute path wins") {
  CHECK(join_path("/base", "a") == "/base/a");
  CHECK(join_path("/base/", "./a/") == "/base/a");
  CHECK(join_path("/base", "../a") == "/a");
  CHECK(join_path("base", "/a/b") == "/a/b");
  CHECK(join_path("", "a") == "a");
  CHECK(join_path("base", "") == "base");
  CHECK(join_path("", "") == ".");
  CHECK(join_path(".", "a") == "a");
}

TEST_CASE("a path comes apart into directory and name") {
  struct Row {
    const char* path;
    const char* directory;
    const char* name;
  };
  const Row table[] = {
      {"a/b", "a", "b"}, {"a/b/", "a", "b"}, {"/a", "/", "a"},        {"//a", "/", "a"},
      {"/", "/", "/"},   {"///", "/", "/"},  {"a", ".", "a"},         {"a/", ".", "a"},
      {"", ".", ""},     {"a//b", "a", "b"}, {"a/b/..", "a/b", ".."}, {"/a/b/c", "/a/b", "c"},
  };
  for (const Row& row : table) {
    INFO(row.path);
    CHECK(directory_of(row.path) == row.directory);
    CHECK(name_of(row.path) == row.name);
  }
}

TEST_CASE("the home directory is HOME, else what the system says") {
  const char* set = std::getenv("HOME");
  const std::string before = set != nullptr ? set : "";
  ::setenv("HOME", "/somewhere/else", 1);
  CHECK(home_directory() == "/somewhere/else");
  ::setenv("HOME", "relative", 1);
  CHECK(home_directory().starts_with('/'));
  ::unsetenv("HOME");
  CHECK(home_directory().starts_with('/'));
  if (set != nullptr) ::setenv("HOME", before.c_str(), 1);
}

TEST_CASE("the current directory is absolute") { CHECK(current_directory().starts_with('/')); }

}  // namespace
}  // namespace sloth::test
