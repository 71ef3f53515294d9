// The bad network that end-to-end tests use is as bad as it is told, and no worse.
#include "tests/support/fault_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <chrono>
#include <filesystem>
#include <string>

#include "agent/unix_socket.h"
#include "runner/os/file_tree.h"

namespace sloth::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string counted(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>(i * 31 + i / 251));
  return text;
}

// Waits for a descriptor; false after `wait`.
bool ready(const Descriptor& fd, short events, milliseconds wait = milliseconds(10'000)) {
  pollfd entry{fd.get(), events, 0};
  return ::poll(&entry, 1, static_cast<int>(wait.count())) == 1;
}

// One connection through a proxy: `near` dialled, `far` was dialled.
struct Bent {
  std::string folder = *make_temp_directory("sloth-proxy-");
  Descriptor listener = *listen_unix(folder + "/target");
  FaultProxy proxy{folder + "/deep/er/socket", folder + "/target"};
  Descriptor near;
  Descriptor far;

  Bent() { connect(); }
  ~Bent() { std::filesystem::remove_all(folder); }

  void connect() {
    near = *connect_unix(folder + "/deep/er/socket");
    REQUIRE(ready(listener, POLLIN));
    far = Descriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    REQUIRE(far.open());
  }

  // Sends `bytes` while it reads at the other end, until `end` bytes have come or the connection is over.
  std::string pass(const std::string& bytes, std::size_t end) {
    std::string got;
    std::size_t sent = 0;
    char buffer[4096];
    while (got.size() < end) {
      if (sent < bytes.size()) {
        const ssize_t count = ::send(near.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (count > 0) sent += static_cast<std::size_t>(count);
      }
      if (!ready(far, POLLIN)) break;
      const ssize_t count = ::read(far.get(), buffer, sizeof buffer);
      if (count <= 0) break;
      largest = std::max(largest, static_cast<std::size_t>(count));
      got.append(buffer, static_cast<std::size_t>(count));
    }
    return got;
  }
  std::size_t largest = 0;  // read at once
};

TEST_CASE("a proxy without faults passes bytes both ways, and the end") {
  Bent bent;
  const std::string bytes = counted(1'000'000);
  CHECK(bent.pass(bytes, bytes.size()) == bytes);
  CHECK(bent.proxy.passed(Way::kUp) == bytes.size());
  REQUIRE(::send(bent.far.get(), "back", 4, 0) == 4);
  REQUIRE(ready(bent.near, POLLIN));
  char buffer[8];
  CHECK(::read(bent.near.get(), buffer, sizeof buffer) == 4);
  bent.near.reset();
  REQUIRE(ready(bent.far, POLLIN));
  CHECK(::read(bent.far.get(), buffer, sizeof buffer) == 0);
}

TEST_CASE("a cut comes at its byte, at both ends, once") {
  Bent bent;
  const std::string bytes = counted(300'000);
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{99'999}}) {
    bent.proxy.cut_after(Way::kUp, at);
    CHECK(bent.pass(bytes, bytes.size()) == bytes.substr(0, at));
    CHECK(ready(bent.near, POLLHUP));
    bent.connect();
  }
  CHECK(bent.pass(bytes, bytes.size()) == bytes);
  CHECK(bent.proxy.connections() == 4);
}

TEST_CASE("what is stalled comes later, whole, what is forsaken never does, and new connections are well") {
  Bent bent;
  bent.proxy.stall();
  REQUIRE(::send(bent.near.get(), "late", 4, 0) == 4);
  CHECK_FALSE(ready(bent.far, POLLIN, milliseconds(50)));
  bent.proxy.resume();
  CHECK(bent.pass("", 4) == "late");
  bent.proxy.forsake();
  REQUIRE(::send(bent.near.get(), "gone", 4, 0) == 4);
  CHECK_FALSE(ready(bent.far, POLLIN, milliseconds(50)));
  bent.connect();
  CHECK(bent.pass("well", 4) == "well");
}

TEST_CASE("slices, delays and limits change when bytes come, not which") {
  Bent bent;
  const std::string bytes = counted(20'000);
  const auto timed = [&](const std::string& text) {
    const auto begin = steady_clock::now();
    CHECK(bent.pass(text, text.size()) == text);
    return steady_clock::now() - begin;
  };
  bent.proxy.slice(Way::kUp, 1);
  timed(bytes);
  bent.proxy.slice(Way::kUp, 0);
  bent.proxy.delay(Way::kUp, milliseconds(60));
  CHECK(timed(bytes) >= milliseconds(60));
  bent.proxy.delay(Way::kUp, milliseconds(0));
  bent.proxy.limit(Way::kUp, 100'000);
  CHECK(timed(bytes) >= milliseconds(150));
}

TEST_CASE("a proxy without a target lets in and closes") {
  const std::string folder = *make_temp_directory("sloth-proxy-");
  {
    FaultProxy proxy(folder + "/socket", folder + "/nobody");
    const Descriptor near = *connect_unix(folder + "/socket");
    REQUIRE(ready(near, POLLIN));
    char byte = 0;
    CHECK(::read(near.get(), &byte, 1) == 0);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace sloth::test
