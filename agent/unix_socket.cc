#include "agent/unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runner/os/os_error.h"
#include "runner/os/path.h"

namespace sloth {
namespace {

// An address by way of the open directory, so that the length of the path does not matter.
struct Address {
  Descriptor directory;
  sockaddr_un address{};
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Result<Address> address_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  SLOTH_CHECK(slash != std::string::npos);
  Address made;
  made.directory = Descriptor(::open(path.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!made.directory.open()) return path_error("use the socket", path, errno);
  made.address.sun_family = AF_UNIX;
  const std::string short_path = fmt::format("/proc/self/fd/{}/{}", made.directory.get(), path.substr(slash + 1));
  if (short_path.size() >= sizeof(made.address.sun_path)) {
    return Error{Code::kInvalid, fmt::format("{}: the name of the socket is too long", path)};
  }
  std::memcpy(made.address.sun_path, short_path.c_str(), short_path.size() + 1);
  return made;
}

Descriptor unix_socket() { return Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

}  // namespace

Result<Descriptor> listen_unix(const std::string& path) {
  auto address = address_of(path);
  if (!address) return address.error();
  ::unlink(path.c_str());
  Descriptor socket = unix_socket();
  if (!socket.open()) return path_error("use the socket", path, errno);
  // The directory is private; the mode is for the moment in which somebody has opened it up.
  ::fchmod(socket.get(), 0600);
  if (::bind(socket.get(), address->get(), sizeof(sockaddr_un)) != 0) return path_error("use the socket", path, errno);
  if (::chmod(path.c_str(), 0600) != 0 || ::listen(socket.get(), SOMAXCONN) != 0) return path_error("use the socket", path, errno);
  return socket;
}

Result<Descriptor> connect_unix(const std::string& path) {
  auto address = address_of(path);
  if (!address) return Error{Code::kUnavailable, address.error().message};
  Descriptor socket = unix_socket();
  if (!socket.open()) return path_error("use the socket", path, errno);
  if (::connect(socket.get(), address->get(), sizeof(sockaddr_un)) != 0) {
    return Error{Code::kUnavailable, path_error("connect to", path, errno).message};
  }
  if (auto peer = check_peer(socket.get()); !peer) return peer.error().in(path);
  return socket;
}

Result<void> check_peer(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return Error{Code::kIo, "who is at the other end: " + reason_of(errno)};
  if (peer.uid == ::geteuid() || peer.uid == 0) return {};
  return Error{Code::kRefused, fmt::format("the other end (process {}) belongs to user {}, this one to user {}", peer.pid,
                                           peer.uid, ::geteuid())};
}

}  // namespace sloth
