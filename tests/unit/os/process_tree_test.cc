#include "runner/os/process_tree.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "runner/os/process_table.h"
#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

std::string fresh_attempt() {
  static int count = 0;
  return "os-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

SpawnOptions shell_attempt(const std::string& script) {
  SpawnOptions options = shell(script);
  options.environment = current_environment();
  options.attempt = fresh_attempt();
  return options;
}

// This very program, running one of the hidden test cases below.
SpawnOptions helper_attempt(const std::string& name) {
  SpawnOptions options;
  options.argv = {"/proc/self/exe", name};
  options.environment = current_environment();
  options.attempt = fresh_attempt();
  return options;
}

Descriptor pidfd_of(pid_t pid) { return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

bool is_living(pid_t pid) {
  const auto record = process_record(pid);
  return record && record->living;
}

// setsid(1) tells nobody when it has done its work.
void wait_for_own_group(pid_t pid) {
  while (::getpgid(pid) != pid) ::sched_yield();
}

pid_t read_pid(const Running& running) { return std::stoi(read_line(running.child().stdout_fd)); }

// The test framework has its own to say on standard output first.
void wait_until_up(const Running& running) {
  while (read_line(running.child().stdout_fd) != "up") {
  }
}

TEST_CASE("killing the tree ends a plain group") {
  const SpawnOptions options = shell_attempt("sleep 1000 & echo $!; wait");
  Running running(options);
  const Descriptor inner = pidfd_of(read_pid(running));
  kill_tree(running.child().pid, options.attempt);
  CHECK(wait_readable(inner.get()));
  CHECK(running.wait().signal == SIGKILL);
  CHECK(tree_of(running.child().pid, options.attempt).empty());
}

TEST_CASE("a process that started its own session is found by its parent and its environment") {
  const SpawnOptions options = shell_attempt("setsid sleep 1000 & echo $!; wait");
  Running running(options);
  const pid_t inner = read_pid(running);
  const Descriptor watch = pidfd_of(inner);
  kill_tree(running.child().pid, options.attempt);
  CHECK(wait_readable(watch.get()));
  CHECK_FALSE(is_living(inner));
}

TEST_CASE("a daemon that lost its parent, group and session is found by its environment") {
  const SpawnOptions options = shell_attempt("(setsid sh -c 'echo $$; exec sleep 1000' &)");
  Running running(options);
  const pid_t daemon = read_pid(running);
  const Descriptor watch = pidfd_of(daemon);
  CHECK(running.wait().code == 0);

  const auto tree = tree_of(running.child().pid, options.attempt);
  REQUIRE(tree.size() == 1);
  CHECK(tree[0].pid == daemon);
  kill_tree(running.child().pid, options.attempt);
  CHECK(wait_readable(watch.get()));
  CHECK(tree_of(running.child().pid, options.attempt).empty());
}

TEST_CASE("a process without the environment is found through its living relatives") {
  SECTION("by its parent") {
    const SpawnOptions options = shell_attempt("setsid env -i sleep 1000 & echo $!; wait");
    Running running(options);
    const Descriptor watch = pidfd_of(read_pid(running));
    kill_tree(running.child().pid, options.attempt);
    CHECK(wait_readable(watch.get()));
  }
  SECTION("by the leader of its session") {
    const SpawnOptions options =
        shell_attempt("(setsid sh -c '(env -i sleep 1000 & echo $!); exec sleep 1000' &)");
    Running running(options);
    const Descriptor watch = pidfd_of(read_pid(running));
    CHECK(running.wait().code == 0);
    kill_tree(running.child().pid, options.attempt);
    CHECK(wait_readable(watch.get()));
  }
}

TEST_CASE("processes that ignore SIGTERM are counted, live on and are killed") {
  const SpawnOptions options = shell_attempt("trap '' TERM; setsid sleep 1000 & echo $!; exec sleep 1000");
  Running running(options);
  const pid_t outside = read_pid(running);
  const Descriptor watch = pidfd_of(outside);
  wait_for_own_group(outside);
  CHECK(signal_tree(running.child().pid, options.attempt, SIGTERM) == 2);
  CHECK(is_living(running.child().pid));
  CHECK(is_living(outside));
  kill_tree(running.child().pid, options.attempt);
  CHECK(wait_readable(watch.get()));
  CHECK(running.wait().signal == SIGKILL);
  CHECK(signal_tree(running.child().pid, options.attempt, SIGKILL) == 0);
}

TEST_CASE("SIGTERM ends processes inside and outside of the group") {
  const SpawnOptions options = shell_attempt("setsid sleep 1000 & echo $!; exec sleep 1000");
  Running running(options);
  const pid_t outside = read_pid(running);
  const Descriptor watch = pidfd_of(outside);
  wait_for_own_group(outside);
  CHECK(signal_tree(running.child().pid, options.attempt, SIGTERM) == 2);
  CHECK(wait_readable(watch.get()));
  const ExitStatus end = running.wait();
  CHECK(end.signal == SIGTERM);
  CHECK(end.code == 143);
}

TEST_CASE("without an attempt the group and its descendants are meant") {
  Running running(shell("setsid sleep 1000 & echo $!; wait"));
  const Descriptor watch = pidfd_of(read_pid(running));
  CHECK(tree_of(running.child().pid, "").size() == 2);
  kill_tree(running.child().pid, "");
  CHECK(wait_readable(watch.get()));
  CHECK(running.wait().signal == SIGKILL);
}

TEST_CASE("the processes of another attempt are left alone, however similar its id") {
  SpawnOptions longer = shell_attempt("exec sleep 1000");
  const std::string attempt = longer.attempt;
  longer.attempt += "0";
  Running running(longer);
  CHECK(signal_tree(0, attempt, SIGKILL) == 0);
  CHECK(signal_tree(0, "", SIGKILL) == 0);
  CHECK(is_living(running.child().pid));
  CHECK(signal_tree(0, longer.attempt, SIGKILL) == 1);
  CHECK(running.wait().signal == SIGKILL);
}

TEST_CASE("a part of an attempt is ended alone or with the whole") {
  SpawnOptions first = shell_attempt("exec sleep 1000");
  const std::string attempt = first.attempt;
  SpawnOptions second = first;
  first.attempt += "/1";
  second.attempt += "/12";
  Running one(first);
  Running two(second);
  CHECK(tree_of(0, attempt).size() == 2);
  kill_tree(0, first.attempt);
  CHECK(one.wait().signal == SIGKILL);
  CHECK(is_living(two.child().pid));
  kill_tree(0, attempt);
  CHECK(two.wait().signal == SIGKILL);
}

TEST_CASE("a group that belongs to a stranger is never signalled") {
  const SpawnOptions options = shell_attempt("setsid sleep 1000 & echo $!; wait");
  Running running(options);
  const pid_t stranger = read_pid(running);
  // Once it leads a group of its own: its number could be one that an ended child of ours had.
  wait_for_own_group(stranger);
  kill_tree(stranger, "");
  kill_tree(stranger, "another");
  CHECK(signal_tree(stranger, "", SIGKILL) == 0);
  CHECK(tree_of(stranger, "").empty());
  kill_tree(::getpgrp(), "");
  kill_tree(1, "");
  kill_tree(0, "");
  kill_tree(-1, "");
  CHECK(is_living(stranger));
}

TEST_CASE("a stopped process is killed too") {
  const SpawnOptions options = shell_attempt("(setsid sh -c 'echo $$; kill -STOP $$' &)");
  Running running(options);
  const Descriptor watch = pidfd_of(read_pid(running));
  kill_tree(running.child().pid, options.attempt);
  CHECK(wait_readable(watch.get()));
}

TEST_CASE("the living processes of a tree are named and cut at 200 bytes") {
  SpawnOptions options = shell_attempt("exec sleep 1000 \"$0\"");
  options.argv = {"sh", "-c", "echo up; read line; true", std::string(500, 'x')};
  options.pipe_stdin = true;
  Running running(options);
  CHECK(read_line(running.child().stdout_fd) == "up");
  const auto tree = tree_of(running.child().pid, options.attempt);
  REQUIRE(tree.size() == 1);
  CHECK(tree[0].command.size() == 200);
  CHECK(tree[0].command.starts_with("sh -c echo up; read line; true xxx"));
}

// Each process makes the next, in a session of its own, and ends at once. The last of 3000 tells that it got
// away.
TEST_CASE("helper: leapfrog", "[.helper]") {
  for (int hop = 0; hop < 3000; ++hop) {
    const pid_t child = ::fork();
    if (child != 0) ::_exit(0);
    ::alarm(20);
    ::setsid();
    if (hop == 20) static_cast<void>(::write(STDOUT_FILENO, "up\n", 3));
  }
  static_cast<void>(::write(STDOUT_FILENO, "escaped\n", 8));
  ::_exit(0);
}

// Two hundred processes, each in a session of its own, that appear while they are being killed.
TEST_CASE("helper: crowd", "[.helper]") {
  ::alarm(20);
  for (int i = 0; i < 200; ++i) {
    if (::fork() == 0) {
      ::setsid();
      ::alarm(20);
      for (;;) ::pause();
    }
    if (i == 20) static_cast<void>(::write(STDOUT_FILENO, "up\n", 3));
  }
  for (;;) ::pause();
}

TEST_CASE("a process that keeps forking away is caught by a subreaper") {
  become_subreaper();
  const SpawnOptions options = helper_attempt("helper: leapfrog");
  Running running(options);
  wait_until_up(running);
  kill_tree(running.child().pid, options.attempt);
  // The end of file tells that none is left, for each of them holds the other side.
  CHECK(read_to_end(running.child().stdout_fd).find("escaped") == std::string::npos);
  CHECK(tree_of(running.child().pid, options.attempt).empty());
  CHECK(running.wait().code == 0);
  static_cast<void>(reap_orphans());
  CHECK(children_of(::getpid()).empty());
}

TEST_CASE("orphans come to the subreaper, which reaps them and no child of its own") {
  become_subreaper();
  const SpawnOptions options = shell_attempt("(setsid sh -c 'echo $$; exec sleep 1000' &)");
  Running running(options);
  const pid_t daemon = read_pid(running);
  const Descriptor watch = pidfd_of(daemon);
  REQUIRE(wait_readable(running.child().pidfd));
  REQUIRE(process_record(daemon).has_value());
  CHECK(process_record(daemon)->parent == ::getpid());

  REQUIRE(::kill(daemon, SIGKILL) == 0);
  REQUIRE(wait_readable(watch.get()));
  CHECK(reap_orphans() >= 1);
  CHECK_FALSE(process_record(daemon).has_value());
  CHECK(running.wait().code == 0);
}

TEST_CASE("a look at all processes is quick") {
  const SpawnOptions options = shell_attempt("exec sleep 1000");
  Running running(options);
  const auto start = std::chrono::steady_clock::now();
  CHECK(tree_of(running.child().pid, options.attempt).size() == 1);
  const auto took = std::chrono::steady_clock::now() - start;
  // Generous: a busy machine and sanitizers. What is usual stands in the room's README.
  CHECK(took <
        std::chrono::milliseconds(500) + std::chrono::microseconds(200) * list_processes().entries.size());
}

// A session with a terminal of its own, in which an interactive child is run.
TEST_CASE("helper: terminal", "[.helper]") {
  const pid_t middle = ::fork();
  if (middle != 0) {
    int status = 0;
    ::waitpid(middle, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
  }
  ::setsid();
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) ::_exit(90);
  const int terminal = ::open(::ptsname(master), O_RDWR);
  if (terminal < 0 || ::dup2(terminal, 0) != 0) ::_exit(91);
  if (::tcgetpgrp(0) != ::getpgrp()) ::_exit(92);
  SpawnOptions options = shell("set -- $(cat /proc/self/stat); [ \"$8\" = $$ ]");
  options.inherit_stdio = true;
  auto child = spawn(options);
  if (!child || child->stdin_fd != -1 || child->stdout_fd != -1 || !wait_readable(child->pidfd)) ::_exit(93);
  const ExitStatus end = reap(*child);
  ::_exit(::tcgetpgrp(0) == ::getpgrp() ? end.code : 94);
}

TEST_CASE("an interactive child has the terminal until it is reaped") {
  CHECK(run(helper_attempt("helper: terminal")).end.code == 0);
}

TEST_CASE("a crowd that grows is killed to the last process") {
  become_subreaper();
  const SpawnOptions options = helper_attempt("helper: crowd");
  Running running(options);
  wait_until_up(running);
  kill_tree(running.child().pid, options.attempt);
  CHECK(tree_of(running.child().pid, options.attempt).empty());
  CHECK(running.wait().signal == SIGKILL);
  static_cast<void>(reap_orphans());
  CHECK(children_of(::getpid()).empty());
}

}  // namespace
}  // namespace sloth::test
