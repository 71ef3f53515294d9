// Files: whole-file reads with limits, atomic writes, directories; with path.h and glob.h.
//
// Thread-safe: free functions. They block: call them on the blocking lane (or at start-up).
// Paths are byte strings. Errors name the path and the reason in words ("no such file").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/os/glob.h"
#include "runner/os/path.h"

namespace sloth {

// The whole of a regular file. Never blocks on a FIFO or device: anything that is no regular file is
// refused by kind ("is a directory", "is a FIFO"). kLimit when larger than `limit` bytes.
Result<std::string> read_file(const std::string& path, std::uint64_t limit);

// Replaces the content atomically (temporary file beside it, fsync, rename), keeping the mode and owner
// of an existing file. Through a link: the file it leads to. Refuses what is no regular file.
Result<void> write_file(const std::string& path, std::string_view data);
// Makes the file when it is not there. Refuses what is no regular file.
Result<void> append_file(const std::string& path, std::string_view data);

struct FileInfo {
  enum class Kind { kFile, kDirectory, kLink, kOther } kind = Kind::kOther;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;     // permission bits
  std::int64_t mtime_ms = 0;  // since 1970
};
// Does not follow a final link. kNotFound when nothing is there.
Result<FileInfo> stat_file(const std::string& path);
// Follows links: false for one that leads nowhere.
bool exists(const std::string& path);

// With parents. No error when it is there already.
Result<void> make_directory(const std::string& path);
// A file, a link or an empty directory; with `recursive` a whole tree (never through links).
// kNotFound when nothing is there; kRefused for "/" and a path that ends in "." or "..".
Result<void> remove_path(const std::string& path, bool recursive);
// Within one file system; replaces a file that is at `to`.
Result<void> rename_path(const std::string& from, const std::string& to);
// Copies a regular file's content and mode, atomically as write_file does.
Result<void> copy_file(const std::string& from, const std::string& to);
// Names in a directory, sorted, without . and ..
Result<std::vector<std::string>> list_directory(const std::string& path);
// A fresh directory `prefix`XXXXXX in the temporary directory, mode 0700.
Result<std::string> make_temp_directory(const std::string& prefix);

}  // namespace sloth
