// Files: whole-file reads with limits, atomic writes, directories, safe joins.
//
// Thread-safe: free functions. They block: call them on the blocking lane (or at start-up).
// Paths are byte strings. Errors name the path and the reason in words ("no such file").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"

namespace sloth {

// The whole of a regular file. Never blocks on a FIFO or device: anything that is no regular file is
// refused by kind ("is a directory", "is a FIFO"). kLimit when larger than `limit` bytes.
Result<std::string> read_file(const std::string& path, std::uint64_t limit);

// Replaces the content atomically (temporary file beside it, fsync, rename), keeping the mode of an
// existing file.
Result<void> write_file(const std::string& path, std::string_view data);
Result<void> append_file(const std::string& path, std::string_view data);

struct FileInfo {
  enum class Kind { kFile, kDirectory, kLink, kOther } kind = Kind::kOther;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;       // permission bits
  std::int64_t mtime_ms = 0;    // since 1970
};
// Does not follow a final link. kNotFound when nothing is there.
Result<FileInfo> stat_file(const std::string& path);
bool exists(const std::string& path);

// With parents. No error when it is there already.
Result<void> make_directory(const std::string& path);
// A file, a link or an empty directory; with `recursive` a whole tree (never through links).
Result<void> remove_path(const std::string& path, bool recursive);
Result<void> rename_path(const std::string& from, const std::string& to);
// Copies a file's content and mode.
Result<void> copy_file(const std::string& from, const std::string& to);
// Names in a directory, sorted, without . and ..
Result<std::vector<std::string>> list_directory(const std::string& path);
// Paths that match a glob with *, ?, [..] and ** (any depth), sorted. Relative patterns start at `base`
// and give paths relative to it.
Result<std::vector<std::string>> glob(const std::string& pattern, const std::string& base);
// A fresh directory `prefix`XXXXXX in the temporary directory, mode 0700.
Result<std::string> make_temp_directory(const std::string& prefix);

// Lexical: no access to the file system.
std::string join_path(std::string_view base, std::string_view path);  // an absolute `path` wins; normalised
std::string directory_of(std::string_view path);
std::string name_of(std::string_view path);
std::string normal_path(std::string_view path);                       // no ., .., doubled or trailing slashes
std::string current_directory();
std::string home_directory();

}  // namespace sloth
