#include "tests/support/fault_proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace sloth {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

// Small, so that senders soon feel what happens here.
constexpr std::size_t kMostHeld = std::size_t{64} << 10;
constexpr std::size_t kMostDelayed = std::size_t{4} << 20;

// By way of the open folder: a path may be longer than an address.
template <class Use>
int with_address(const std::string& path, Use use) {
  const fs::path whole(path);
  const int folder = ::open(whole.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const std::string name = "/proc/self/fd/" + std::to_string(folder) + "/" + whole.filename().string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool fits = name.size() < sizeof address.sun_path;
  if (fits) std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  const bool done =
      fits && folder >= 0 && fd >= 0 && use(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (folder >= 0) ::close(folder);
  if (done) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

}  // namespace

FaultProxy::FaultProxy(const std::string& listen, std::string target) : target_(std::move(target)) {
  fs::create_directories(fs::path(listen).parent_path());
  fs::remove(listen);
  listening_ = with_address(listen, [](int fd, const sockaddr* address, socklen_t size) {
    return ::bind(fd, address, size) == 0 ? ::listen(fd, 128) : -1;
  });
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (listening_ < 0 || wake_ < 0) throw std::runtime_error("cannot listen on " + listen);
  thread_ = std::thread([this] { work(); });
}

FaultProxy::~FaultProxy() {
  {
    MutexLock lock(mutex_);
    over_ = true;
  }
  wake();
  thread_.join();
  ::close(listening_);
  ::close(wake_);
}

void FaultProxy::cut_after(Way way, std::uint64_t bytes) {
  MutexLock lock(mutex_);
  faults(way).cut_in = static_cast<std::int64_t>(bytes);
}

void FaultProxy::cut() {
  {
    MutexLock lock(mutex_);
    for (auto& connection : connections_) close(*connection);
  }
  wake();
}

void FaultProxy::stall(Way way) {
  MutexLock lock(mutex_);
  faults(way).stalled = true;
}

void FaultProxy::resume() {
  {
    MutexLock lock(mutex_);
    up_.stalled = down_.stalled = false;
  }
  wake();
}

void FaultProxy::forsake() {
  MutexLock lock(mutex_);
  for (auto& connection : connections_) connection->forsaken = true;
}

void FaultProxy::delay(Way way, std::chrono::microseconds by) {
  MutexLock lock(mutex_);
  faults(way).delay = by;
}

void FaultProxy::slice(Way way, std::size_t bytes) {
  MutexLock lock(mutex_);
  faults(way).slice = bytes;
}

void FaultProxy::limit(Way way, std::uint64_t bytes_per_second) {
  {
    MutexLock lock(mutex_);
    Faults& limited = faults(way);
    limited.rate = bytes_per_second;
    limited.allowance = 0;
    limited.filled = steady_clock::now();
  }
  wake();
}

std::uint64_t FaultProxy::passed(Way way) const {
  MutexLock lock(mutex_);
  return way == Way::kUp ? up_.passed : down_.passed;
}

int FaultProxy::connections() const {
  MutexLock lock(mutex_);
  return count_;
}

void FaultProxy::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
}

void FaultProxy::work() {
  std::vector<pollfd> watched;
  while (true) {
    watched = {{listening_, POLLIN, 0}, {wake_, POLLIN, 0}};
    Time next = steady_clock::now() + std::chrono::seconds(1);
    {
      MutexLock lock(mutex_);
      if (over_) {
        for (auto& connection : connections_) close(*connection);
        connections_.clear();
        return;
      }
      for (auto& connection : connections_) {
        for (const Way way : {Way::kUp, Way::kDown}) {
          Flow& flow = way == Way::kUp ? connection->up : connection->down;
          Faults& faults = this->faults(way);
          if (connection->dead || connection->forsaken || faults.stalled) continue;
          take(flow, faults);
          next = std::min(next, give(*connection, flow, faults, steady_clock::now()));
          if (connection->dead) break;
          const std::size_t most = faults.delay.count() > 0 ? kMostDelayed : kMostHeld;
          if (!flow.ended && flow.held < most) watched.push_back({flow.from, POLLIN, 0});
        }
      }
      std::erase_if(connections_, [](const auto& connection) { return connection->dead; });
    }
    const auto wait =
        std::chrono::duration_cast<std::chrono::nanoseconds>(next - steady_clock::now()).count();
    const timespec time{wait > 0 ? wait / 1'000'000'000 : 0, wait > 0 ? wait % 1'000'000'000 : 0};
    ::ppoll(watched.data(), watched.size(), &time, nullptr);
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t read = ::read(wake_, &ignored, sizeof ignored);
    MutexLock lock(mutex_);
    accept();
  }
}

void FaultProxy::accept() {
  while (true) {
    const int peer = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0) return;
    ++count_;
    const int there = with_address(target_, [](int fd, const sockaddr* address, socklen_t size) {
      return ::connect(fd, address, size);
    });
    if (there < 0) {
      ::close(peer);
      continue;
    }
    auto connection = std::make_unique<Connection>();
    connection->up.from = connection->down.to = peer;
    connection->up.to = connection->down.from = there;
    connections_.push_back(std::move(connection));
  }
}

void FaultProxy::take(Flow& flow, const Faults& faults) {
  char buffer[1 << 14];
  const std::size_t most = faults.delay.count() > 0 ? kMostDelayed : kMostHeld;
  while (!flow.ended && flow.held < most) {
    const ssize_t count = ::read(flow.from, buffer, sizeof buffer);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      flow.ended = true;
      return;
    }
    flow.held += static_cast<std::size_t>(count);
    flow.pieces.push_back(
        {std::string(buffer, static_cast<std::size_t>(count)), steady_clock::now() + faults.delay});
  }
}

FaultProxy::Time FaultProxy::give(Connection& connection, Flow& flow, Faults& faults, Time now) {
  const Time later = now + std::chrono::seconds(1);
  // When the receiver has no room; polling for it as well would only make this longer.
  const Time soon = now + std::chrono::microseconds(500);
  if (faults.rate > 0) {
    const double passed = std::chrono::duration<double>(now - faults.filled).count();
    const auto rate = static_cast<double>(faults.rate);
    faults.allowance = std::min(faults.allowance + passed * rate, std::max(rate / 50, 1.0));
    faults.filled = now;
  }
  while (!flow.pieces.empty()) {
    Piece& piece = flow.pieces.front();
    if (piece.due > now) return piece.due;
    std::size_t size = piece.bytes.size();
    if (faults.slice > 0) size = std::min(size, faults.slice);
    if (faults.rate > 0) size = std::min(size, static_cast<std::size_t>(faults.allowance));
    if (faults.cut_in >= 0) size = std::min(size, static_cast<std::size_t>(faults.cut_in));
    if (size == 0 && faults.cut_in != 0) return now + std::chrono::milliseconds(2);
    const ssize_t count = size == 0 ? 0 : ::send(flow.to, piece.bytes.data(), size, MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return soon;
      close(connection);
      return later;
    }
    const auto given = static_cast<std::size_t>(count);
    faults.passed += given;
    faults.allowance -= faults.rate > 0 ? static_cast<double>(given) : 0;
    if (faults.cut_in >= 0 && (faults.cut_in -= count) == 0) {
      faults.cut_in = -1;
      close(connection);
      return later;
    }
    flow.held -= given;
    piece.bytes.erase(0, given);
    if (piece.bytes.empty()) flow.pieces.pop_front();
    // The receiver is to find it alone.
    if (faults.slice > 0 && !flow.pieces.empty()) return now;
  }
  if (flow.ended && !std::exchange(flow.shut, true)) ::shutdown(flow.to, SHUT_WR);
  if (connection.up.shut && connection.down.shut) close(connection);
  return later;
}

void FaultProxy::close(Connection& connection) {
  if (std::exchange(connection.dead, true)) return;
  ::close(connection.up.from);
  ::close(connection.up.to);
}

}  // namespace sloth
