#include "runner/os/glob.h"

#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

using Paths = std::vector<std::string>;

TEST_CASE("one name matches one pattern") {
  struct Row {
    const char* pattern;
    const char* name;
    bool matches;
  };
  const Row table[] = {
      {"*", "abc", true},
      {"*", "", true},
      {"a*c", "abbc", true},
      {"a*c", "abcd", false},
      {"*.c", "main.c", true},
      {"*.c", "main.cc", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"?", "\xc3\xa9", true},
      {"??", "\xc3\xa9", false},
      {"[abc]", "b", true},
      {"[abc]", "d", false},
      {"[a-c]x", "bx", true},
      {"[!a-c]x", "bx", false},
      {"[!a-c]x", "dx", true},
      {"[^a]", "b", true},
      {"[]]", "]", true},
      {"[!]]", "]", false},
      {"[a-]", "-", true},
      {"[\\]]", "]", true},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"*a*b*c*", "xaxbxcx", true},
      {"*a*b", "xbxa", false},
      {"*", ".hidden", false},
      {".*", ".hidden", true},
      {"?a", ".a", false},
      {"[.]a", ".a", false},
      {"", "", true},
      {"", "a", false},
      {"a", "", false},
      {"**", "abc", true},
      {"a**b", "axxb", true},
      {"*\xff", "a\xff", true},
  };
  for (const Row& row : table) {
    INFO(row.pattern << " " << row.name);
    CHECK(name_matches(row.pattern, row.name) == row.matches);
  }
}

TEST_CASE("a pattern of many stars takes no exponential time") {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "a*";
  CHECK_FALSE(name_matches(pattern + "b", std::string(255, 'a')));
}

TEST_CASE("a glob finds paths relative to its base, sorted") {
  const TempDirectory directory;
  for (const char* file : {"a.c", "b.c", "b.h", ".hidden.c", "src/x.c", "src/deep/er/y.c", "src/.git/z.c",
                           "lib/x.c", "lib/[1].c"}) {
    directory.write(file, "");
  }
  REQUIRE(::symlink("../src", (directory / "lib/link").c_str()) == 0);
  REQUIRE(::symlink("/nowhere", (directory / "dangling.c").c_str()) == 0);
  const auto find = [&](const std::string& pattern) {
    auto found = glob(pattern, directory.path());
    REQUIRE(found.ok());
    return *found;
  };

  CHECK(find("*.c") == Paths{"a.c", "b.c", "dangling.c"});
  CHECK(find("./b.?") == Paths{"b.c", "b.h"});
  CHECK(find(".*.c") == Paths{".hidden.c"});
  CHECK(find("*/x.c") == Paths{"lib/x.c", "src/x.c"});
  CHECK(find("src/x.c") == Paths{"src/x.c"});
  CHECK(find("src/missing.c").empty());
  CHECK(find("**/*.c") ==
        Paths{"a.c", "b.c", "dangling.c", "lib/[1].c", "lib/x.c", "src/deep/er/y.c", "src/x.c"});
  CHECK(find("src/**") == Paths{"src/deep", "src/deep/er", "src/deep/er/y.c", "src/x.c"});
  CHECK(find("src/**/y.c") == Paths{"src/deep/er/y.c"});
  CHECK(find("**/**/deep/**/y.c") == Paths{"src/deep/er/y.c"});
  CHECK(find("src/**/.git/*") == Paths{"src/.git/z.c"});
  CHECK(find("lib/link/*.c") == Paths{"lib/link/x.c"});
  CHECK(find("lib/*/x.c") == Paths{"lib/link/x.c"});
  CHECK(find("lib/\\[1].c") == Paths{"lib/[1].c"});
  CHECK(find("src/../a.c") == Paths{"src/../a.c"});
  CHECK(find("src/") == Paths{"src"});
  CHECK(find(directory / "b.*") == Paths{directory / "b.c", directory / "b.h"});
}

TEST_CASE("many ** over a deep tree take no exponential time") {
  const TempDirectory directory;
  std::string path;
  for (int i = 0; i < 40; ++i) path += "a/";
  directory.write(path + "end", "");
  std::string pattern;
  for (int i = 0; i < 10; ++i) pattern += "**/a/";
  auto found = glob(pattern + "end", directory.path());
  REQUIRE(found.ok());
  CHECK(*found == Paths{path + "end"});
}

TEST_CASE("a glob that cannot be meant is refused") {
  const TempDirectory directory;
  CHECK(glob("a[b", directory.path()).error().code == Code::kInvalid);
  CHECK(glob("", directory.path()).error().code == Code::kInvalid);
  CHECK(glob(std::string("a\0b", 3), directory.path()).error().code == Code::kInvalid);
  CHECK(glob("*", directory / "gone").error().code == Code::kNotFound);
  directory.write("file", "");
  CHECK_FALSE(glob("*", directory / "file").ok());
}

}  // namespace
}  // namespace sloth::test
