#include "runner/os/signals.h"

#include <fcntl.h>

#include <csignal>
#include <memory>

#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

struct Received {
  int signal;
  int count;
};

// A watch whose handler hands over what it got through a pipe.
class Watched {
 public:
  Watched() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
    watch_ = std::make_unique<SignalWatch>([this](int signal, int count) {
      const Received received{signal, count};
      static_cast<void>(::write(write_.get(), &received, sizeof(received)));
    });
  }
  Received next() {
    Received received{};
    REQUIRE(wait_readable(read_.get()));
    REQUIRE(::read(read_.get(), &received, sizeof(received)) == sizeof(received));
    return received;
  }

 private:
  Descriptor read_;
  Descriptor write_;
  std::unique_ptr<SignalWatch> watch_;
};

bool is_blocked(int signal) {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

TEST_CASE("each signal received is a call with its number and its count") {
  Watched watched;
  int count = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGINT}) {
    REQUIRE(::kill(::getpid(), signal) == 0);
    const Received received = watched.next();
    CHECK(received.signal == signal);
    CHECK(received.count == ++count);
  }
}

TEST_CASE("a watch gives the signals back at its end, and a second one starts to count anew") {
  for (int i = 0; i < 3; ++i) {
    {
      Watched watched;
      CHECK(is_blocked(SIGINT));
      REQUIRE(::kill(::getpid(), SIGINT) == 0);
      CHECK(watched.next().count == 1);
    }
    CHECK_FALSE(is_blocked(SIGINT));
  }
}

TEST_CASE("a signal that was ignored stays ignored, as nohup wants") {
  const auto before = ::signal(SIGHUP, SIG_IGN);
  {
    Watched watched;
    REQUIRE(::kill(::getpid(), SIGHUP) == 0);
    REQUIRE(::kill(::getpid(), SIGTERM) == 0);
    const Received received = watched.next();
    CHECK(received.signal == SIGTERM);
    CHECK(received.count == 1);
  }
  ::signal(SIGHUP, before);
}

TEST_CASE("writing to a closed pipe is an error and no death") {
  const Watched watched;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  CHECK(::write(ends[1], "x", 1) == -1);
  CHECK(errno == EPIPE);
  ::close(ends[1]);
}

}  // namespace
}  // namespace sloth::test
