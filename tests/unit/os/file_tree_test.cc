#include "runner/os/file_tree.h"

#include <sys/resource.h>

#include <csignal>

#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

constexpr std::uint64_t kMegabyte = 1U << 20U;

mode_t mode_of(const std::string& path) { return stat_file(path)->mode; }

TEST_CASE("a file is read whole, up to a limit") {
  const TempDirectory directory;
  const std::string bytes("a\0\xff\n", 4);
  const std::string file = directory.write("file", bytes);
  CHECK(*read_file(file, 100) == bytes);
  CHECK(*read_file(file, 4) == bytes);
  CHECK(read_file(file, 3).error().code == Code::kLimit);
  CHECK(read_file(directory.write("empty", ""), 0)->empty());
  const std::string big(3 * kMegabyte + 7, 'x');
  CHECK(*read_file(directory.write("big", big), big.size()) == big);
}

TEST_CASE("a file of /proc is read though it claims to be empty, and the limit holds") {
  CHECK(read_file("/proc/self/status", kMegabyte)->find("Name:") == 0);
  CHECK(read_file("/proc/self/status", 10).error().code == Code::kLimit);
}

TEST_CASE("what is no regular file is not read and never waited for") {
  const TempDirectory directory;
  REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
  const std::pair<std::string, const char*> table[] = {
      {directory / "fifo", "a FIFO"}, {"/dev/zero", "a device"}, {directory.path(), "a directory"}};
  for (const auto& [path, kind] : table) {
    for (const Error& error : {read_file(path, 100).error(), write_file(path, "x").error(),
                               append_file(path, "x").error(), copy_file(path, directory / "copy").error()}) {
      CHECK(error.code == Code::kRefused);
      CHECK(error.message.find(path + "\": it is " + kind) != std::string::npos);
    }
  }
  CHECK_FALSE(exists(directory / "copy"));
}

TEST_CASE("errors name the path and the reason") {
  const TempDirectory directory;
  CHECK(read_file(directory / "no", 1).error() ==
        (Error{Code::kNotFound, "cannot read \"" + directory / "no" + "\": no such file or directory"}));
  CHECK(read_file("", 1).error().code == Code::kInvalid);
  CHECK(read_file(std::string("/etc/passwd\0.txt", 16), 1).error().code == Code::kInvalid);
  directory.write("file", "");
  CHECK(read_file(directory / "file/below", 1).error().code == Code::kNotFound);
  CHECK(write_file(directory / "no/file", "").error().code == Code::kNotFound);
}

TEST_CASE("writing replaces the content and keeps the mode") {
  const TempDirectory directory;
  const std::string file = directory.write("file", "old", 0751);
  REQUIRE(write_file(file, "new").ok());
  CHECK(*read_file(file, 100) == "new");
  CHECK(mode_of(file) == 0751);

  const mode_t mask = ::umask(027);
  REQUIRE(write_file(directory / "fresh", "").ok());
  ::umask(mask);
  CHECK(mode_of(directory / "fresh") == 0640);
  CHECK(*list_directory(directory.path()) == std::vector<std::string>{"file", "fresh"});
}

TEST_CASE("a write that fails half-way leaves the old content and no litter") {
  const TempDirectory directory;
  const std::string file = directory.write("file", "old");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = 1000;
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
  const auto written = write_file(file, std::string(5000, 'x'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, handler);
  REQUIRE_FALSE(written.ok());
  CHECK(written.error().code == Code::kLimit);
  CHECK(*read_file(file, 100) == "old");
  CHECK(list_directory(directory.path())->size() == 1);
}

TEST_CASE("writing through a link changes the file it leads to") {
  const TempDirectory directory;
  const std::string file = directory.write("real", "old");
  REQUIRE(::symlink("real", (directory / "link").c_str()) == 0);
  REQUIRE(write_file(directory / "link", "new").ok());
  CHECK(*read_file(file, 100) == "new");
  CHECK(stat_file(directory / "link")->kind == FileInfo::Kind::kLink);
  REQUIRE(::symlink("gone", (directory / "dangling").c_str()) == 0);
  CHECK(write_file(directory / "dangling", "x").error().code == Code::kNotFound);
}

TEST_CASE("appending makes the file and adds to it") {
  const TempDirectory directory;
  REQUIRE(append_file(directory / "log", "1").ok());
  REQUIRE(append_file(directory / "log", "2").ok());
  CHECK(*read_file(directory / "log", 100) == "12");
}

TEST_CASE("a look at a path does not follow it, existence does") {
  const TempDirectory directory;
  directory.write("file", "12345", 0640);
  REQUIRE(::symlink("gone", (directory / "link").c_str()) == 0);
  REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
  const auto info = stat_file(directory / "file");
  REQUIRE(info.ok());
  CHECK(info->kind == FileInfo::Kind::kFile);
  CHECK(info->size == 5);
  CHECK(info->mode == 0640);
  CHECK(info->mtime_ms > 1'600'000'000'000);
  CHECK(stat_file(directory / "link")->kind == FileInfo::Kind::kLink);
  CHECK(stat_file(directory / "fifo")->kind == FileInfo::Kind::kOther);
  CHECK(stat_file(directory.path())->kind == FileInfo::Kind::kDirectory);
  CHECK(stat_file(directory / "gone").error().code == Code::kNotFound);
  CHECK(exists(directory / "file"));
  CHECK_FALSE(exists(directory / "link"));
  CHECK_FALSE(exists(directory / "gone"));
  CHECK_FALSE(exists(""));
}

TEST_CASE("directories are made with their parents, again and again") {
  const TempDirectory directory;
  REQUIRE(make_directory(directory / "a/b//c/").ok());
  REQUIRE(make_directory(directory / "a/b/c").ok());
  CHECK(stat_file(directory / "a/b/c")->kind == FileInfo::Kind::kDirectory);
  directory.write("file", "");
  CHECK(make_directory(directory / "file").error().code == Code::kRefused);
  CHECK_FALSE(make_directory(directory / "file/below").ok());
  CHECK(make_directory("/").ok());
}

TEST_CASE("a tree is removed without following its links") {
  const TempDirectory directory;
  directory.write("keep/precious", "x");
  for (const char* file : {"tree/a", "tree/.b", "tree/deep/er/c"}) directory.write(file, "");
  REQUIRE(::symlink("../keep", (directory / "tree/link").c_str()) == 0);
  REQUIRE(::symlink("tree", (directory / "to-tree").c_str()) == 0);

  CHECK_FALSE(remove_path(directory / "tree", false).ok());
  CHECK(remove_path(directory / "to-tree/", true).ok());
  CHECK(exists(directory / "tree/a"));
  CHECK(remove_path(directory / "tree", true).ok());
  CHECK_FALSE(exists(directory / "tree"));
  CHECK(exists(directory / "keep/precious"));
  CHECK(remove_path(directory / "keep/precious", false).ok());
  CHECK(remove_path(directory / "keep", false).ok());
  CHECK(remove_path(directory / "keep", true).error().code == Code::kNotFound);
  for (const char* path : {"/", "//", ".", "..", "/tmp/.."}) {
    CHECK(remove_path(path, true).error().code == Code::kRefused);
  }
}

TEST_CASE("a very deep tree is removed") {
  const TempDirectory directory;
  std::string path = directory / "deep";
  for (int i = 0; i < 150; ++i) path += "/d";
  REQUIRE(make_directory(path).ok());
  CHECK(remove_path(directory / "deep", true).ok());
  CHECK_FALSE(exists(directory / "deep"));
}

TEST_CASE("renaming replaces, and names both paths when it fails") {
  const TempDirectory directory;
  directory.write("a", "1");
  directory.write("b", "2");
  REQUIRE(rename_path(directory / "a", directory / "b").ok());
  CHECK(*read_file(directory / "b", 10) == "1");
  const Error error = rename_path(directory / "a", directory / "c").error();
  CHECK(error.code == Code::kNotFound);
  CHECK(error.message.find(directory / "c") != std::string::npos);
}

TEST_CASE("a copy has the content and the mode") {
  const TempDirectory directory;
  const std::string text(300'000, 'x');
  directory.write("a", text, 0754);
  directory.write("b", "old", 0600);
  REQUIRE(copy_file(directory / "a", directory / "b").ok());
  CHECK(*read_file(directory / "b", kMegabyte) == text);
  CHECK(mode_of(directory / "b") == 0754);
  REQUIRE(copy_file(directory / "a", directory / "a").ok());
  CHECK(*read_file(directory / "a", kMegabyte) == text);
  REQUIRE(copy_file("/proc/self/status", directory / "status").ok());
  CHECK(stat_file(directory / "status")->size > 100);
  CHECK(copy_file(directory / "gone", directory / "c").error().code == Code::kNotFound);
}

TEST_CASE("a directory is listed sorted") {
  const TempDirectory directory;
  for (const char* file : {"b", ".c", "a/x"}) directory.write(file, "");
  CHECK(*list_directory(directory.path()) == std::vector<std::string>{".c", "a", "b"});
  CHECK(list_directory(directory / "b").error().code == Code::kNotFound);
  CHECK(list_directory(directory / "gone").error().code == Code::kNotFound);
}

TEST_CASE("a temporary directory is fresh and private") {
  const auto first = make_temp_directory("sloth-os-test-");
  const auto second = make_temp_directory("sloth-os-test-");
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(*first != *second);
  CHECK(mode_of(*first) == 0700);
  CHECK(name_of(*first).starts_with("sloth-os-test-"));
  CHECK(remove_path(*first, false).ok());
  CHECK(remove_path(*second, false).ok());
  CHECK(make_temp_directory("a/b").error().code == Code::kInvalid);
}

}  // namespace
}  // namespace sloth::test
