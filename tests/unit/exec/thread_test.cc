#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"
#include "runner/exec/thread.h"
#include "tests/unit/exec/countdown.h"
#include "tests/unit/exec/pipe.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using test::Countdown;

sigset_t my_mask() {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return mask;
}

bool blocks(const sigset_t& mask, int signal) { return sigismember(&mask, signal) == 1; }

TEST_CASE("workers take the interrupt signal, other threads take none of ours, all take faults") {
  sigset_t worker;
  sigset_t blocking;
  sigset_t reactor;
  const sigset_t before = my_mask();
  Countdown finished(3);
  Executor executor({.workers = 1});
  executor.post([&] {
    worker = my_mask();
    finished.done();
  });
  executor.post_blocking([&] {
    blocking = my_mask();
    finished.done();
  });
  executor.reactor().post([&] {
    reactor = my_mask();
    finished.done();
  });
  REQUIRE(finished.wait());
  CHECK_FALSE(blocks(worker, kInterruptSignal));
  CHECK(blocks(worker, SIGPROF));
  for (const sigset_t& mask : {blocking, reactor}) {
    CHECK(blocks(mask, kInterruptSignal));
    CHECK(blocks(mask, SIGPROF));
  }
  for (const sigset_t& mask : {worker, blocking, reactor}) {
    for (const int ours : {SIGINT, SIGTERM, SIGCHLD, SIGPIPE, SIGUSR1, SIGALRM, SIGRTMIN})
      CHECK(blocks(mask, ours));
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) CHECK_FALSE(blocks(mask, fault));
  }
  for (const int signal : {SIGINT, SIGURG, SIGPROF, SIGCHLD}) {
    CHECK(blocks(my_mask(), signal) == blocks(before, signal));
  }
}

TEST_CASE("a worker that is showered with the interrupt signal loses no job and no sleep") {
  static std::atomic<int> received;
  received.store(0);
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = [](int) { received.fetch_add(1); };  // without SA_RESTART: every wait is broken
  REQUIRE(sigaction(kInterruptSignal, &action, &old) == 0);
  {
    Executor executor({.workers = 1});
    Countdown known(1);
    pthread_t worker{};
    executor.post([&] {
      worker = pthread_self();
      known.done();
    });
    REQUIRE(known.wait());
    std::atomic<bool> enough{false};
    std::thread shower([&] {
      while (!enough.load()) {
        pthread_kill(worker, kInterruptSignal);
        std::this_thread::yield();
      }
    });
    bool all = true;
    for (int i = 0; i < 2000 && all; ++i) {
      Countdown finished(1);
      executor.post([&finished] { finished.done(); });
      all = finished.wait();
    }
    all = all && test::eventually([] { return received.load() > 100; });
    enough.store(true);
    shower.join();
    CHECK(all);
  }
  REQUIRE(sigaction(kInterruptSignal, &old, nullptr) == 0);
}

TEST_CASE("the part of the next test that runs in a process of its own", "[.throws]") {
  signal(SIGABRT, SIG_DFL);  // not the report of Catch2
  Executor executor({.workers = 1});
  executor.post([] { throw std::runtime_error("the cat ate it"); });
  executor.stop();
}

TEST_CASE("an exception that leaves a job is printed and ends the process") {
  int errors[2];
  REQUIRE(pipe2(errors, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  REQUIRE(posix_spawn_file_actions_init(&actions) == 0);
  REQUIRE(posix_spawn_file_actions_adddup2(&actions, errors[1], STDERR_FILENO) == 0);
  REQUIRE(posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0);
  const char* words[] = {"/proc/self/exe", "[.throws]", nullptr};
  pid_t pid = 0;
  REQUIRE(posix_spawn(&pid, words[0], &actions, nullptr, const_cast<char* const*>(words), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(errors[1]);
  std::string text;
  char buffer[512];
  for (ssize_t got = 0; (got = read(errors[0], buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(errors[0]);
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  CHECK(text.find("an exception left a job: the cat ate it") != std::string::npos);
}

}  // namespace
}  // namespace sloth
