#include "agent/workspaces.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "runner/base/log.h"
#include "runner/os/descriptor.h"
#include "runner/os/file_tree.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

Result<void> make_with_mode(const std::string& path, mode_t mode) {
  if (auto made = make_directory(path); !made) return made;
  if (::chmod(path.c_str(), mode) != 0) return path_error("make private", path, errno);
  return {};
}

void remove_all(const std::string& path) {
  const auto removed = remove_path(path, true);
  if (!removed && removed.error().code != Code::kNotFound) log_warn("{}", removed.error().message);
}

}  // namespace

Result<void> Workspaces::make() const {
  const mode_t passable = ::geteuid() == 0 ? 0711 : 0700;
  if (auto made = make_with_mode(directory_, passable); !made) return made;
  if (auto made = make_with_mode(directory_ + "/work", passable); !made) return made;
  if (auto made = make_with_mode(directory_ + "/attempts", 0700); !made) return made;
  if (auto made = make_with_mode(content(), 0700); !made) return made;
  make_reserve();
  return {};
}

Result<void> Workspaces::write_request(const std::string& id, std::string_view request) const {
  const AttemptFiles attempt = files(id);
  remove(id, false);
  if (::mkdir(attempt.directory.c_str(), 0700) != 0) return path_error("make", attempt.directory, errno);
  const std::string path = attempt.request();
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.open()) return path_error("make", path, errno);
  while (!request.empty()) {
    const ssize_t count = ::write(file.get(), request.data(), request.size());
    if (count < 0 && errno != EINTR) return path_error("write", path, errno);
    if (count > 0) request.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

void Workspaces::make_reserve() const {
  constexpr off_t kReserveBytes = off_t{1} << 20;
  const Descriptor file(::open(reserve().c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.open() && ::posix_fallocate(file.get(), 0, kReserveBytes) != 0) ::unlink(reserve().c_str());
}

void Workspaces::give_up_reserve() const { ::unlink(reserve().c_str()); }

void Workspaces::remove(const std::string& id, bool workspace_too) const {
  remove_all(files(id).directory);
  if (workspace_too) remove_all(workspace(id));
}

void Workspaces::sweep(const std::set<std::string>& known) const {
  for (const char* folder : {"/attempts", "/work"}) {
    const auto names = list_directory(directory_ + folder);
    if (!names) continue;
    for (const std::string& name : *names) {
      if (!known.contains(name)) remove_all(directory_ + folder + "/" + name);
    }
  }
}

}  // namespace sloth
