#include "agent/directory_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "runner/os/file_tree.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

std::string holder_of(int file) {
  std::array<char, 32> text{};
  const ssize_t got = ::pread(file, text.data(), text.size(), 0);
  std::string_view pid(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  pid = pid.substr(0, pid.find_first_not_of("0123456789"));
  return pid.empty() ? std::string() : fmt::format(" (pid {})", pid);
}

}  // namespace

Result<DirectoryLock> DirectoryLock::take(const std::string& directory, const std::string& name,
                                          const std::string& who) {
  if (!exists(directory)) {
    if (auto made = make_directory(directory); !made) return made.error();
    if (::chmod(directory.c_str(), 0700) != 0) return path_error("protect", directory, errno);
  }
  const std::string path = directory + "/" + name;
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.open()) return path_error("open", path, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return path_error("lock", path, errno);
    return Error{
        Code::kUnavailable,
        fmt::format("{}: another {}{} has this directory; stop it, or give this one a directory of its own",
                    directory, who, holder_of(file.get()))};
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  const auto size = static_cast<ssize_t>(pid.size());
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), pid.data(), pid.size(), 0) != size) {
    return path_error("write", path, errno);
  }
  return DirectoryLock(std::move(file));
}

}  // namespace sloth
