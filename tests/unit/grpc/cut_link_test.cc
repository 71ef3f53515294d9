// Links whose connection breaks at any byte, under traffic both ways.
#include <sys/socket.h>
#include <catch2/catch.hpp>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "agent/grpc_link.h"
#include "agent/unix_socket.h"
#include "runner/base/mutex.h"
#include "runner/os/file_tree.h"
#include "tests/support/fault_proxy.h"

namespace sloth::test {
namespace {

// Listens and gives back what comes.
class Echo {
 public:
  explicit Echo(const std::string& path) : socket_(*listen_unix(path)) {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        Descriptor peer(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (peer.open()) {
          server_.add(std::move(peer));
        } else {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      }
    });
  }
  ~Echo() {
    thread_.request_stop();
    thread_.join();
    MutexLock lock(mutex_);
    links_.clear();
  }

 private:
  void accept(std::unique_ptr<Link> link) {
    Link* raw = link.get();
    {
      MutexLock lock(mutex_);
      links_.push_back(std::move(link));
    }
    raw->open({[raw](Message message) { raw->send(std::move(message)); }, [](const std::string&) {}});
  }
  Mutex mutex_;
  std::vector<std::unique_ptr<Link>> links_ GUARDED_BY(mutex_);
  GrpcServer server_{[this](Role, std::unique_ptr<Link> link) { accept(std::move(link)); }};
  Descriptor socket_;
  std::jthread thread_;
};

TEST_CASE("a link whose connection is cut at any byte is closed once, whatever is under way", "[.by-hand]") {
  const std::string folder = *make_temp_directory("sloth-cut-");
  {
    Echo echo(folder + "/real");
    FaultProxy proxy(folder + "/socket", folder + "/real");
    std::minstd_rand random(7);
    for (int round = 0; round < 150; ++round) {
      INFO("round " << round);
      const bool up = random() % 2 == 0;
      proxy.cut_after(up ? Way::kUp : Way::kDown, random() % (round % 3 == 0 ? 500 : 200'000));
      auto closed = std::make_shared<std::promise<void>>();
      auto link = grpc_dial(*connect_unix(folder + "/socket"), Role::kRun);
      link->open({[](const Message&) {}, [closed](const std::string&) { closed->set_value(); }});
      std::future<void> over = closed->get_future();
      const SpoolPart part{std::string(32, 'a'), 0, std::string(10'000, 'x')};
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (over.wait_for(std::chrono::milliseconds(0)) != std::future_status::ready) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        if (link->queued_bytes() < 50'000) link->send(part);
        // Half of the links go while the connection breaks.
        if (round % 2 == 1 && random() % 64 == 0) break;
      }
    }
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace sloth::test
