#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"
#include "tests/unit/exec/countdown.h"
#include "tests/unit/exec/pipe.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using test::Countdown;
using test::Pipe;

std::shared_ptr<Reactor::Watch> must(Result<std::shared_ptr<Reactor::Watch>> watch) {
  INFO((watch.ok() ? std::string() : watch.error().message));
  REQUIRE(watch.ok());
  return *watch;
}

void close_and_wait(Reactor::Watch& watch) {
  Countdown closed(1);
  watch.close([&closed] { closed.done(); });
  REQUIRE(closed.wait());
}

// Waits until the reactor has run what it had been given so far.
void flush(Reactor& reactor) {
  Countdown passed(1);
  REQUIRE(reactor.post([&passed] { passed.done(); }));
  REQUIRE(passed.wait());
}

pid_t spawn(std::vector<const char*> words) {
  words.push_back(nullptr);
  pid_t pid = 0;
  REQUIRE(posix_spawn(&pid, words[0], nullptr, nullptr, const_cast<char* const*>(words.data()), environ) ==
          0);
  return pid;
}

TEST_CASE("a watch delivers what arrives in a pipe, and its end") {
  Pipe pipe;
  std::string text;
  std::atomic<bool> elsewhere{false};
  Countdown ended(1);
  Executor executor({.workers = 1});
  Reactor& reactor = executor.reactor();
  std::shared_ptr<Reactor::Watch> watch;
  watch = must(reactor.watch(pipe.reader(), 0, [&](unsigned ready) {
    if (ready != Reactor::kReadable || !reactor.on_thread()) elsewhere.store(true);
    // One byte a call: while more is there, the handler must be called again.
    const int got = pipe.get();
    if (got >= 0) text.push_back(static_cast<char>(got));
    if (got == -2) {
      watch->set(0);
      ended.done();
    }
  }));
  watch->set(Reactor::kReadable);
  for (const char letter : std::string("level-triggered")) pipe.put(letter);
  pipe.close_write();
  REQUIRE(ended.wait());
  close_and_wait(*watch);
  CHECK(text == "level-triggered");
  CHECK_FALSE(elsewhere.load());
}

TEST_CASE("a watch for writing is called when there is room") {
  Pipe pipe;
  const std::vector<char> block(1 << 16, 'x');
  while (write(pipe.writer(), block.data(), block.size()) > 0) {
  }
  std::atomic<int> calls{0};
  Countdown room(1);
  Executor executor({.workers = 1});
  std::shared_ptr<Reactor::Watch> watch;
  watch = must(executor.reactor().watch(pipe.writer(), 0, [&](unsigned ready) {
    if (ready == Reactor::kWritable && calls.fetch_add(1) == 0) {
      watch->set(0);
      room.done();
    }
  }));
  watch->set(Reactor::kWritable);
  flush(executor.reactor());
  CHECK(calls.load() == 0);
  std::vector<char> taken(1 << 20);
  REQUIRE(read(pipe.reader(), taken.data(), taken.size()) > 0);
  REQUIRE(room.wait());
  close_and_wait(*watch);
  CHECK(calls.load() == 1);
}

TEST_CASE("a socket can be waited for in both directions at once") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  Countdown writable(1);
  Countdown readable(1);
  Executor executor({.workers = 1});
  std::shared_ptr<Reactor::Watch> watch;
  watch = must(executor.reactor().watch(ends[0], 0, [&](unsigned ready) {
    if ((ready & Reactor::kWritable) != 0) {
      watch->set(Reactor::kReadable);
      writable.done();
    }
    if ((ready & Reactor::kReadable) != 0) {
      watch->set(0);
      readable.done();
    }
  }));
  watch->set(Reactor::kReadable | Reactor::kWritable);
  REQUIRE(writable.wait());
  CHECK(readable.left() == 1);
  REQUIRE(write(ends[1], "x", 1) == 1);
  REQUIRE(readable.wait());
  close_and_wait(*watch);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a peer that is gone makes both directions ready") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  ::close(ends[1]);
  std::atomic<unsigned> seen{0};
  Executor executor({.workers = 1});
  auto watch = must(executor.reactor().watch(ends[0], Reactor::kReadable | Reactor::kWritable,
                                             [&seen](unsigned ready) { seen.fetch_or(ready); }));
  CHECK(test::eventually([&seen] { return seen.load() == (Reactor::kReadable | Reactor::kWritable); }));
  close_and_wait(*watch);
  ::close(ends[0]);
}

TEST_CASE("a watch set to nothing is silent until it is set again") {
  Pipe pipe;
  std::atomic<int> calls{0};
  Countdown called(1);
  Executor executor({.workers = 1});
  Reactor& reactor = executor.reactor();
  std::shared_ptr<Reactor::Watch> watch;
  watch = must(reactor.watch(pipe.reader(), 0, [&](unsigned) {
    calls.fetch_add(1);
    watch->set(0);
    called.done();
  }));
  pipe.put('x');
  flush(reactor);
  flush(reactor);
  CHECK(calls.load() == 0);
  watch->set(Reactor::kReadable);
  REQUIRE(called.wait());
  flush(reactor);
  CHECK(calls.load() == 1);
  close_and_wait(*watch);
}

TEST_CASE("a handler may close its own watch and is not called again") {
  for (int round = 0; round < 200; ++round) {
    Pipe pipe;
    std::atomic<int> calls{0};
    std::atomic<bool> inside{false};
    std::atomic<bool> early{false};
    Countdown closed(2);
    Executor executor({.workers = 1});
    Reactor& reactor = executor.reactor();
    std::shared_ptr<Reactor::Watch> watch;
    pipe.put('x');
    Countdown have_watch(1);
    watch = must(reactor.watch(pipe.reader(), Reactor::kReadable, [&](unsigned) {
      have_watch.wait();
      inside.store(true);
      calls.fetch_add(1);
      for (int i = 0; i < 2; ++i) {
        watch->close([&] {
          if (inside.load() || !reactor.on_thread()) early.store(true);
          closed.done();
        });
      }
      inside.store(false);
    }));
    have_watch.done();
    REQUIRE(closed.wait());
    CHECK(calls.load() == 1);
    CHECK_FALSE(early.load());
  }
}

TEST_CASE("a watch closed from another thread is not called after closed ran") {
  const int workers = GENERATE(1, 2, 8, 64);
  Executor executor({.workers = workers});
  for (int round = 0; round < 300; ++round) {
    auto pipe = std::make_unique<Pipe>();
    pipe->put('x');
    std::atomic<bool> closed{false};
    std::atomic<bool> late{false};
    Countdown finished(1);
    auto watch = must(executor.reactor().watch(pipe->reader(), Reactor::kReadable,
                                               [&](unsigned) { late.store(late.load() || closed.load()); }));
    executor.post([&] {
      watch->close([&] {
        closed.store(true);
        pipe.reset();
        finished.done();
      });
    });
    REQUIRE(finished.wait());
    CHECK_FALSE(late.load());
  }
}

TEST_CASE("dropping the last handle of a watch ends it") {
  Pipe pipe;
  const auto token = std::make_shared<int>(0);
  Executor executor({.workers = 1});
  auto watch = must(executor.reactor().watch(pipe.reader(), Reactor::kReadable, [token](unsigned) {}));
  watch.reset();
  flush(executor.reactor());
  CHECK(token.use_count() == 1);
  // It has left the kernel's list too: the same descriptor can be watched anew.
  CHECK(executor.reactor().watch(pipe.reader(), Reactor::kReadable, [](unsigned) {}).ok());
}

TEST_CASE("what can not be waited for is refused, and the message says why") {
  Executor executor({.workers = 1});
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  REQUIRE(file >= 0);
  const auto regular = executor.reactor().watch(file, Reactor::kReadable, [](unsigned) {});
  REQUIRE_FALSE(regular.ok());
  CHECK(regular.error().code == Code::kIo);
  CHECK(regular.error().message.find("regular file") != std::string::npos);
  ::close(file);
  const auto gone = executor.reactor().watch(file, Reactor::kReadable, [](unsigned) {});
  REQUIRE_FALSE(gone.ok());
  CHECK(gone.error().code == Code::kIo);
  Pipe pipe;
  const auto first = executor.reactor().watch(pipe.reader(), Reactor::kReadable, [](unsigned) {});
  const auto second = executor.reactor().watch(pipe.reader(), Reactor::kReadable, [](unsigned) {});
  CHECK(first.ok());
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().message.find("watched already") != std::string::npos);
}

TEST_CASE("the end of a child is seen through its pidfd") {
  const pid_t pid = spawn({"/bin/sh", "-c", "exit 7"});
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  REQUIRE(pidfd >= 0);
  Countdown ended(1);
  int status = 0;
  Executor executor({.workers = 1});
  std::shared_ptr<Reactor::Watch> watch;
  watch = must(executor.reactor().watch(pidfd, 0, [&](unsigned) {
    waitpid(pid, &status, WNOHANG);
    watch->close([&] {
      ::close(pidfd);
      ended.done();
    });
  }));
  watch->set(Reactor::kReadable);
  REQUIRE(ended.wait());
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

// A child that is just being made holds copies of all descriptors for a moment. A watch that left its
// entry in epoll would then be called for the next owner of the number.
TEST_CASE("descriptors that are closed and reused while children start get only their own events") {
  constexpr int kRounds = 300;
  Executor executor({.workers = 2});
  Reactor& reactor = executor.reactor();
  std::atomic<bool> enough{false};
  std::thread spawner([&enough] {
    while (!enough.load()) {
      pid_t pid = 0;
      const char* words[] = {"/bin/true", nullptr};
      if (posix_spawn(&pid, words[0], nullptr, nullptr, const_cast<char* const*>(words), environ) != 0) break;
      waitpid(pid, nullptr, 0);
    }
  });
  int wrong = 0;
  for (int round = 0; round < kRounds; ++round) {
    auto pipe = std::make_unique<Pipe>();
    const int mine = round % 128;
    Countdown closed(1);
    std::shared_ptr<Reactor::Watch> watch;
    watch = must(reactor.watch(pipe->reader(), 0, [&](unsigned) {
      if (pipe->get() != mine) ++wrong;
      watch->close([&] {
        pipe.reset();
        closed.done();
      });
    }));
    watch->set(Reactor::kReadable);
    pipe->put(static_cast<char>(mine));
    if (!closed.wait()) {
      ++wrong;
      break;
    }
  }
  enough.store(true);
  spawner.join();
  CHECK(wrong == 0);
}

TEST_CASE("hundreds of pipes are served at once by one thread") {
  const int workers = GENERATE(1, 2, 8, 64);
  constexpr int kPipes = 200;
  constexpr int kBytes = 50;
  struct Line {
    Pipe pipe;
    int got = 0;
    std::shared_ptr<Reactor::Watch> watch;
  };
  std::vector<Line> lines(kPipes);
  Countdown finished(kPipes);
  Executor executor({.workers = workers});
  for (Line& line : lines) {
    line.watch = must(executor.reactor().watch(line.pipe.reader(), 0, [&line, &finished](unsigned) {
      while (line.pipe.get() >= 0) ++line.got;
      if (line.got == kBytes) line.watch->close([&finished] { finished.done(); });
    }));
    line.watch->set(Reactor::kReadable);
  }
  for (Line& line : lines) {
    executor.post([&line] {
      for (int i = 0; i < kBytes; ++i) line.pipe.put('x');
    });
  }
  REQUIRE(finished.wait());
  for (const Line& line : lines) CHECK(line.got == kBytes);
}

TEST_CASE("after stop a watch may still be closed, and closed runs") {
  Pipe pipe;
  const auto token = std::make_shared<int>(0);
  std::shared_ptr<Reactor::Watch> watch;
  bool closed = false;
  {
    Executor executor({.workers = 1});
    watch = must(executor.reactor().watch(pipe.reader(), Reactor::kReadable, [token](unsigned) {}));
    executor.stop();
    CHECK(token.use_count() == 1);
    watch->set(Reactor::kReadable);
    const auto refused = executor.reactor().watch(pipe.writer(), Reactor::kWritable, [](unsigned) {});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Code::kIo);
  }
  watch->close([&closed] { closed = true; });
  CHECK(closed);
  pipe.put('x');  // the descriptor is the caller's as before
  CHECK(pipe.get() == 'x');
}

TEST_CASE("stop in the middle of events, watches and closes runs every closed once") {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> opened{0};
    std::atomic<int> closed{0};
    Countdown under_way(1);
    std::vector<std::unique_ptr<Pipe>> pipes;
    for (int i = 0; i < 400; ++i) pipes.push_back(std::make_unique<Pipe>());
    Executor executor({.workers = 2});
    std::thread user([&] {
      for (std::size_t i = 0; i < pipes.size(); ++i) {
        pipes[i]->put('x');
        auto watch = executor.reactor().watch(pipes[i]->reader(), Reactor::kReadable, [](unsigned) {});
        if (!watch) break;
        opened.fetch_add(1);
        if (i == 20) under_way.done();
        (*watch)->close([&closed] { closed.fetch_add(1); });
      }
    });
    REQUIRE(under_way.wait());
    executor.stop();
    user.join();
    CHECK(closed.load() == opened.load());
  }
}

}  // namespace
}  // namespace sloth
