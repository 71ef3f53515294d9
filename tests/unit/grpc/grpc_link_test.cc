#include "agent/grpc_link.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <vector>

#include "agent/digest.h"
#include "agent/unix_socket.h"
#include "runner/base/mutex.h"
#include "runner/os/file_tree.h"

namespace sloth::test {
namespace {

// What one end of a link was told.
class Inbox {
 public:
  Link::Events events() {
    return {[this](Message message) {
              MutexLock lock(mutex_);
              messages_.push_back(std::move(message));
              changed_.notify_all();
            },
            [this](std::string reason) {
              MutexLock lock(mutex_);
              closed_ = true;
              reason_ = std::move(reason);
              changed_.notify_all();
            }};
  }
  bool wait_for(std::size_t count) {
    return wait([&] { return messages_.size() >= count; });
  }
  bool wait_closed() {
    return wait([&] { return closed_; });
  }
  std::vector<Message> messages() {
    MutexLock lock(mutex_);
    return messages_;
  }
  std::string reason() {
    MutexLock lock(mutex_);
    return reason_;
  }

 private:
  template <class Condition>
  bool wait(Condition condition) NO_THREAD_SAFETY_ANALYSIS {
    MutexLock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (!changed_.wait_until(mutex_, deadline)) return condition();
    }
    return true;
  }
  Mutex mutex_;
  CondVar changed_;
  std::vector<Message> messages_;
  bool closed_ = false;
  std::string reason_;
};

// A server whose links are kept in the order in which they came.
class Served {
 public:
  Served()
      : server_([this](Role role, std::unique_ptr<Link> link) {
          MutexLock lock(mutex_);
          roles_.push_back(role);
          inboxes_.push_back(std::make_unique<Inbox>());
          links_.push_back(std::move(link));
          links_.back()->open(inboxes_.back()->events());
          changed_.notify_all();
        }) {}
  ~Served() {
    MutexLock lock(mutex_);
    links_.clear();
  }

  std::unique_ptr<Link> dial(Role role = Role::kRun) { return grpc_dial(connect(), role); }
  Descriptor connect() {
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    server_.add(Descriptor(ends[0]));
    return Descriptor(ends[1]);
  }
  Link& link(std::size_t index) {
    await(index);
    return *links_[index];
  }
  Inbox& inbox(std::size_t index) {
    await(index);
    return *inboxes_[index];
  }
  Role role(std::size_t index) {
    await(index);
    return roles_[index];
  }
  void drop(std::size_t index) {
    await(index);
    links_[index].reset();
  }

 private:
  void await(std::size_t index) {
    MutexLock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (links_.size() <= index) REQUIRE(changed_.wait_until(mutex_, deadline));
  }
  Mutex mutex_;
  CondVar changed_;
  std::vector<Role> roles_;
  std::vector<std::unique_ptr<Inbox>> inboxes_;
  std::vector<std::unique_ptr<Link>> links_;
  GrpcServer server_;
};

const std::string kId = sha256("attempt").substr(0, 32);

TEST_CASE("messages go both ways over a stream, in order, and the role is that of the method") {
  Served served;
  Inbox inbox;
  const auto link = served.dial(Role::kAgent);
  link->open(inbox.events());
  constexpr std::uint64_t kCount = 5000;
  for (std::uint64_t i = 0; i < kCount; ++i) link->send(SpoolAck{kId, i});
  REQUIRE(served.inbox(0).wait_for(kCount));
  CHECK(served.role(0) == Role::kAgent);
  for (std::uint64_t i = 0; i < kCount; ++i) served.link(0).send(SpoolAck{kId, i});
  REQUIRE(inbox.wait_for(kCount));
  for (Inbox* end : {&inbox, &served.inbox(0)}) {
    const auto messages = end->messages();
    bool in_order = true;
    for (std::uint64_t i = 0; i < kCount; ++i)
      in_order = in_order && std::get<SpoolAck>(messages[i]).offset == i;
    CHECK(in_order);
  }
}

TEST_CASE("a part of full size arrives as it was") {
  Served served;
  Inbox inbox;
  const auto link = served.dial();
  link->open(inbox.events());
  std::string bytes(256 << 10, '\xfe');
  link->send(SpoolPart{kId, 0, bytes});
  REQUIRE(served.inbox(0).wait_for(1));
  CHECK(std::get<SpoolPart>(served.inbox(0).messages()[0]).bytes == bytes);
}

TEST_CASE("closing sends what is queued first") {
  Served served;
  Inbox inbox;
  auto link = served.dial();
  link->open(inbox.events());
  for (std::uint64_t i = 0; i < 100; ++i) link->send(SpoolAck{kId, i});
  link->close();
  REQUIRE(served.inbox(0).wait_closed());
  CHECK(served.inbox(0).messages().size() == 100);
  REQUIRE(inbox.wait_closed());
  CHECK(inbox.reason().empty());
}

TEST_CASE("the end of the server is told to whoever dialled") {
  Inbox inbox;
  std::unique_ptr<Link> link;
  {
    Served served;
    link = served.dial();
    link->open(inbox.events());
    link->send(ListAgents{});
    REQUIRE(served.inbox(0).wait_for(1));
  }
  REQUIRE(inbox.wait_closed());
  link->send(ListAgents{});
  link->close();
}

TEST_CASE("a link that is dropped is closed at the other end") {
  Served served;
  Inbox inbox;
  auto link = served.dial();
  link->open(inbox.events());
  link->send(ListAgents{});
  REQUIRE(served.inbox(0).wait_for(1));
  SECTION("by who dialled") {
    link.reset();
    CHECK(served.inbox(0).wait_closed());
  }
  SECTION("by who was dialled") {
    served.drop(0);
    CHECK(inbox.wait_closed());
  }
}

TEST_CASE("a peer that sends nonsense is cut off and nobody else is") {
  Served served;
  Inbox inbox;
  const auto link = served.dial();
  link->open(inbox.events());
  const Descriptor stranger = served.connect();
  std::string noise(100'000, 'x');
  static_cast<void>(::send(stranger.get(), noise.data(), noise.size(), MSG_NOSIGNAL));
  const auto bad = served.dial();
  Inbox told;
  bad->open(told.events());
  bad->send(SpoolAck{"../../x", 0});
  REQUIRE(told.wait_closed());
  CHECK(told.reason() == "SpoolAck: wrong attempt");
  link->send(ListAgents{});
  link->send(ListAgents{});
  CHECK((served.inbox(0).wait_for(2) || served.inbox(1).wait_for(2)));
}

TEST_CASE("a connection that nobody answers is told") {
  int ends[2] = {-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  ::close(ends[0]);
  Inbox inbox;
  const auto link = grpc_dial(Descriptor(ends[1]), Role::kRun);
  link->open(inbox.events());
  link->send(ListAgents{});
  REQUIRE(inbox.wait_closed());
  CHECK_FALSE(inbox.reason().empty());
}

TEST_CASE("a unix socket is private, has a long path if need be, and knows its peer") {
  const auto directory = make_temp_directory("sloth-socket-");
  REQUIRE(directory.ok());
  const std::string deep = *directory + "/" + std::string(100, 'd');
  REQUIRE(make_directory(deep).ok());
  const std::string path = deep + "/socket";
  CHECK(connect_unix(path).error().code == Code::kUnavailable);
  {
    const auto listening = listen_unix(path);
    REQUIRE(listening.ok());
    CHECK(stat_file(path)->mode == 0600);
    const auto socket = connect_unix(path);
    REQUIRE(socket.ok());
    CHECK(check_peer(socket->get()).ok());
  }
  CHECK(connect_unix(path).error().code == Code::kUnavailable);
  CHECK(listen_unix(path).ok());
  CHECK(remove_path(*directory, true).ok());
}

}  // namespace
}  // namespace sloth::test
