#include "runner/os/replacement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <random>
#include <utility>

#include "runner/os/file_kind.h"
#include "runner/os/os_error.h"
#include "runner/os/path.h"

namespace sloth {
namespace {

// Where writing to `path` ends up. A link that leads nowhere is an error rather than a new file in a
// place nobody named.
Result<std::string> resolve(const std::string& action, const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT && !path.ends_with('/')) return path;
    return path_error(action, path, errno);
  }
  if (!S_ISLNK(info.st_mode)) return path;
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), &std::free);
  if (real != nullptr) return std::string(real.get());
  if (errno != ENOENT) return path_error(action, path, errno);
  return Error{Code::kNotFound,
               fmt::format("cannot {} \"{}\": it is a link that leads nowhere", action, path)};
}

}  // namespace

Replacement::Replacement(std::string action, std::string shown, std::string target)
    : action_(std::move(action)), shown_(std::move(shown)), target_(std::move(target)) {}

Replacement::~Replacement() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<std::unique_ptr<Replacement>> Replacement::open(std::string action, const std::string& path) {
  if (auto valid = check_path(action, path); !valid) return valid.error();
  auto target = resolve(action, path);
  if (!target) return target.error();
  std::unique_ptr<Replacement> replacement(new Replacement(std::move(action), path, std::move(*target)));
  if (auto created = replacement->create(); !created) return created.error();
  return replacement;
}

Result<void> Replacement::create() {
  struct stat old {};
  const bool exists = ::stat(target_.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) return wrong_kind(action_, shown_, old.st_mode);

  // Created here rather than by mkstemp, so that the umask applies to a new file.
  std::random_device random;
  const std::string directory = directory_of(target_);
  for (int attempt = 0; !file_.open(); ++attempt) {
    std::string name = fmt::format("{}/.sloth-{:08x}", directory, random());
    file_.reset(
        ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, exists ? 0600 : 0666));
    if (file_.open()) {
      temporary_ = std::move(name);
    } else if (errno != EEXIST || attempt > 100) {
      return path_error(action_, shown_, errno);
    }
  }
  if (!exists) return {};
  // Only root may give files away; for others the file becomes their own, as with every editor.
  struct stat made {};
  if (::fstat(file_.get(), &made) == 0 && (made.st_uid != old.st_uid || made.st_gid != old.st_gid) &&
      ::fchown(file_.get(), old.st_uid, old.st_gid) != 0 && errno != EPERM) {
    return path_error(action_, shown_, errno);
  }
  return set_mode(old.st_mode);
}

Result<void> Replacement::set_mode(mode_t mode) {
  if (::fchmod(file_.get(), mode & 07777U) != 0) return path_error(action_, shown_, errno);
  return {};
}

Result<void> Replacement::commit() {
  if (::fsync(file_.get()) != 0) return path_error(action_, shown_, errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) return path_error(action_, shown_, errno);
  temporary_.clear();
  return {};
}

}  // namespace sloth
