#include "runner/os/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "runner/os/descriptor.h"
#include "runner/os/file_kind.h"
#include "runner/os/os_error.h"
#include "runner/os/replacement.h"

namespace sloth {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

// O_NONBLOCK: a FIFO put there between the look and the opening must not hold us.
constexpr int kSafeOpen = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

// Opens what is, before and after opening, a regular file: opening a FIFO or a device can have effects.
// A file that is absent passes the first look when O_CREAT is among `flags`.
Result<Descriptor> open_regular(const char* action, const std::string& path, int flags, struct stat& info) {
  if (auto valid = check_path(action, path); !valid) return valid.error();
  if (::stat(path.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode)) return wrong_kind(action, path, info.st_mode);
  } else if (errno != ENOENT || (flags & O_CREAT) == 0) {
    return path_error(action, path, errno);
  }
  Descriptor file(::open(path.c_str(), flags | kSafeOpen, 0666));
  if (!file.open() || ::fstat(file.get(), &info) != 0) return path_error(action, path, errno);
  if (!S_ISREG(info.st_mode)) return wrong_kind(action, path, info.st_mode);
  return file;
}

int write_all(int descriptor, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = ::write(descriptor, data.data(), data.size());
    if (count < 0 && errno != EINTR) return errno;
    if (count > 0) data.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

Error too_long(const std::string& path, std::uint64_t limit) {
  return Error{Code::kLimit,
               fmt::format("cannot read \"{}\": it is larger than the limit of {} bytes", path, limit)};
}

// errno, or 0. Inside the kernel where the file systems can, else through a buffer.
int copy_content(int from, int to) {
  constexpr std::size_t kChunk = 1U << 30U;
  for (;;) {
    const ssize_t count = ::copy_file_range(from, nullptr, to, nullptr, kChunk, 0);
    if (count < 0 && errno != EINTR) break;
    // Files of /proc claim to be empty, so an end is believed only from read().
    if (count == 0) break;
  }
  std::string buffer(128 * 1024, '\0');
  for (;;) {
    const ssize_t count = ::read(from, buffer.data(), buffer.size());
    if (count == 0) return 0;
    if (count < 0 && errno != EINTR) return errno;
    if (count < 0) continue;
    if (const int error = write_all(to, {buffer.data(), static_cast<std::size_t>(count)}); error != 0)
      return error;
  }
}

// errno, or 0.
int read_names(DIR* directory, std::vector<std::string>& names) {
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  return errno;
}

// Removes `name` in the directory `parent` and all below. Relative to open directories throughout, so
// that a link put in the place of a directory meanwhile is removed, never followed.
Result<void> remove_tree(int parent, const std::string& name, const std::string& shown) {
  if (::unlinkat(parent, name.c_str(), 0) == 0) return {};
  if (errno != EISDIR && errno != EPERM) return path_error("remove", shown, errno);
  const int first_error = errno;
  Descriptor descriptor(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!descriptor.open()) return path_error("remove", shown, errno == ENOTDIR ? first_error : errno);
  const Directory directory(::fdopendir(descriptor.get()), &::closedir);
  if (directory == nullptr) return path_error("remove", shown, errno);
  descriptor.release();
  // All names first: not every file system lists reliably while entries go.
  std::vector<std::string> names;
  if (const int error = read_names(directory.get(), names); error != 0)
    return path_error("remove", shown, error);
  for (const std::string& child : names) {
    auto removed = remove_tree(::dirfd(directory.get()), child, fmt::format("{}/{}", shown, child));
    if (!removed && removed.error().code != Code::kNotFound) return removed;
  }
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0) return path_error("remove", shown, errno);
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::uint64_t limit) {
  struct stat info {};
  auto file = open_regular("read", path, O_RDONLY, info);
  if (!file) return file.error();
  if (static_cast<std::uint64_t>(info.st_size) > limit) return too_long(path, limit);

  // The size is a hint: the file may grow, and those of /proc say 0. One byte more shows the end.
  constexpr std::size_t kLeast = 16 * 1024;
  std::string text(std::max(kLeast, static_cast<std::size_t>(info.st_size) + 1), '\0');
  std::size_t size = 0;
  for (;;) {
    if (size == text.size()) text.resize(text.size() * 2);
    const ssize_t count = ::read(file->get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return path_error("read", path, errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
    if (size > limit) return too_long(path, limit);
  }
  text.resize(size);
  return text;
}

Result<void> write_file(const std::string& path, std::string_view data) {
  auto file = Replacement::open("write", path);
  if (!file) return file.error();
  if (const int error = write_all((*file)->descriptor(), data); error != 0)
    return path_error("write", path, error);
  return (*file)->commit();
}

Result<void> append_file(const std::string& path, std::string_view data) {
  struct stat info {};
  auto file = open_regular("append to", path, O_WRONLY | O_APPEND | O_CREAT, info);
  if (!file) return file.error();
  if (const int error = write_all(file->get(), data); error != 0) return path_error("append to", path, error);
  return {};
}

Result<FileInfo> stat_file(const std::string& path) {
  if (auto valid = check_path("look at", path); !valid) return valid.error();
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return path_error("look at", path, errno);
  FileInfo result;
  if (S_ISREG(info.st_mode)) result.kind = FileInfo::Kind::kFile;
  if (S_ISDIR(info.st_mode)) result.kind = FileInfo::Kind::kDirectory;
  if (S_ISLNK(info.st_mode)) result.kind = FileInfo::Kind::kLink;
  result.size = static_cast<std::uint64_t>(info.st_size);
  result.mode = info.st_mode & 07777U;
  result.mtime_ms = std::int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  return result;
}

bool exists(const std::string& path) {
  struct stat info {};
  return check_path("look at", path).ok() && ::stat(path.c_str(), &info) == 0;
}

Result<void> make_directory(const std::string& path) {
  if (auto valid = check_path("make directory", path); !valid) return valid;
  for (std::size_t end = 0; end < path.size();) {
    end = std::min(path.find('/', end + 1), path.size());
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0777) == 0) continue;
    const int error = errno;
    struct stat info {};
    // Whatever mkdir says about it (a read-only file system, no permission), what is there is fine.
    if (::stat(part.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
    if (error != EEXIST) return path_error("make directory", part, error);
    return Error{
        Code::kRefused,
        fmt::format("cannot make directory \"{}\": \"{}\" is there and is no directory", path, part)};
  }
  return {};
}

Result<void> remove_path(const std::string& path, bool recursive) {
  if (auto valid = check_path("remove", path); !valid) return valid;
  std::string target = path;
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
  const std::string name = name_of(target);
  if (name == "/" || name == "." || name == "..") {
    return Error{Code::kRefused,
                 fmt::format("cannot remove \"{}\": name the directory itself, below its parent", path)};
  }
  if (recursive) return remove_tree(AT_FDCWD, target, target);
  if (::unlink(target.c_str()) == 0) return {};
  const int error = errno;
  if (error != EISDIR && error != EPERM) return path_error("remove", path, error);
  if (::rmdir(target.c_str()) == 0) return {};
  return path_error("remove", path, errno == ENOTDIR ? error : errno);
}

Result<void> rename_path(const std::string& from, const std::string& to) {
  if (auto valid = check_path("rename", from); !valid) return valid;
  if (auto valid = check_path("rename to", to); !valid) return valid;
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  const Error error = path_error("rename", from, errno);
  const char* hint = errno == EXDEV ? "; copy it there and remove the old one" : "";
  return Error{error.code, fmt::format("{} (to \"{}\"{})", error.message, to, hint)};
}

Result<void> copy_file(const std::string& from, const std::string& to) {
  struct stat info {};
  auto source = open_regular("copy", from, O_RDONLY, info);
  if (!source) return source.error();
  auto target = Replacement::open("copy to", to);
  if (!target) return target.error();
  if (const int error = copy_content(source->get(), (*target)->descriptor()); error != 0) {
    return path_error("copy to", to, error).in(fmt::format("copy \"{}\"", from));
  }
  if (auto set = (*target)->set_mode(info.st_mode); !set) return set;
  return (*target)->commit();
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
  if (auto valid = check_path("list", path); !valid) return valid.error();
  const Directory directory(::opendir(path.c_str()), &::closedir);
  if (directory == nullptr) return path_error("list", path, errno);
  std::vector<std::string> names;
  if (const int error = read_names(directory.get(), names); error != 0)
    return path_error("list", path, error);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> make_temp_directory(const std::string& prefix) {
  if (prefix.find('/') != std::string::npos || prefix.find('\0') != std::string::npos) {
    return Error{Code::kInvalid,
                 fmt::format("\"{}\" cannot start the name of a directory: it holds a slash or a NUL byte",
                             prefix.c_str())};
  }
  const char* root = std::getenv("TMPDIR");
  std::string path = join_path(root != nullptr && root[0] == '/' ? root : "/tmp", prefix + "XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) return path_error("make directory", path, errno);
  return path;
}

}  // namespace sloth
