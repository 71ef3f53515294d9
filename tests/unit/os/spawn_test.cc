#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

TEST_CASE("a child's two outputs arrive in two pipes") {
  const Finished finished = run(shell("echo out; echo err >&2"));
  CHECK(finished.out == "out\n");
  CHECK(finished.err == "err\n");
  CHECK(finished.end.code == 0);
  CHECK(finished.end.signal == 0);
}

TEST_CASE("merged outputs keep their order in one pipe") {
  SpawnOptions options = shell("echo 1; echo 2 >&2; echo 3");
  options.merge_stderr = true;
  const Finished finished = run(options);
  CHECK(finished.out == "1\n2\n3\n");
  CHECK(finished.err.empty());
}

TEST_CASE("standard input is /dev/null unless a pipe is asked for") {
  CHECK(run(shell("cat; echo end")).out == "end\n");

  SpawnOptions options = shell("cat");
  options.pipe_stdin = true;
  Running running(options);
  REQUIRE(::write(running.child().stdin_fd, "hello", 5) == 5);
  running.close_stdin();
  CHECK(read_to_end(running.child().stdout_fd) == "hello");
  CHECK(running.wait().code == 0);
}

TEST_CASE("exit codes and deadly signals are told apart") {
  CHECK(run(shell("exit 0")).end.code == 0);
  CHECK(run(shell("exit 3")).end.code == 3);
  CHECK(run(shell("exit 255")).end.code == 255);
  const ExitStatus killed = run(shell("kill -SEGV $$")).end;
  CHECK(killed.signal == SIGSEGV);
  CHECK(killed.code == 128 + SIGSEGV);
  const ExitStatus like_a_signal = run(shell("exit 139")).end;
  CHECK(like_a_signal.signal == 0);
}

TEST_CASE("signals have names") {
  CHECK(signal_name(SIGKILL) == "SIGKILL");
  CHECK(signal_name(SIGTERM) == "SIGTERM");
  CHECK(signal_name(77) == "signal 77");
  CHECK(signal_name(-1) == "signal -1");
}

TEST_CASE("the environment is exactly what was given") {
  SpawnOptions options;
  options.argv = {"/usr/bin/env"};
  options.environment = {{"A", "1"}, {"EMPTY", ""}, {"B C", "x=y\nz"}, {"SLOTH_ATTEMPT", "outer"}};
  CHECK(run(options).out == "A=1\nEMPTY=\nB C=x=y\nz\nSLOTH_ATTEMPT=outer\n");
  options.attempt = "inner";
  CHECK(run(options).out == "SLOTH_ATTEMPT=inner\nA=1\nEMPTY=\nB C=x=y\nz\n");
  options.environment.clear();
  options.attempt.clear();
  CHECK(run(options).out.empty());
}

TEST_CASE("the environment of this process is given as pairs") {
  REQUIRE(::setenv("SLOTH_OS_TEST", "a=b", 1) == 0);
  bool found = false;
  for (const auto& [name, value] : current_environment())
    found = found || (name == "SLOTH_OS_TEST" && value == "a=b");
  CHECK(found);
  ::unsetenv("SLOTH_OS_TEST");
}

TEST_CASE("a child runs in the directory it is given") {
  const TempDirectory directory;
  SpawnOptions options = shell("pwd -P");
  options.directory = directory.path();
  CHECK(run(options).out == directory.path() + "\n");
  options.directory.clear();
  CHECK(run(options).out == current_directory() + "\n");
}

TEST_CASE("a relative command is looked for in the child's directory and keeps its name") {
  const TempDirectory directory;
  directory.write("bin/hello", "#!/bin/sh\necho \"$0\"\n", 0755);
  SpawnOptions options;
  options.argv = {"bin/hello"};
  options.directory = directory.path();
  CHECK(run(options).out == "bin/hello\n");
}

TEST_CASE("a bare command is looked for in the child's PATH, not in ours") {
  const TempDirectory directory;
  directory.write("bin/only-here", "#!/bin/sh\necho found\n", 0755);
  directory.write("noexec/only-here", "#!/bin/sh\necho wrong\n", 0644);
  REQUIRE(make_directory(directory / "folder/only-here").ok());
  SpawnOptions options;
  options.argv = {"only-here"};
  CHECK(spawn_error(options).code == Code::kNotFound);
  options.environment = {
      {"PATH", directory / "missing:" + directory / "folder:" + directory / "noexec:" + directory / "bin"}};
  CHECK(run(options).out == "found\n");

  SECTION("entries that are relative or empty start at the child's directory") {
    options.directory = directory.path();
    options.environment = {{"PATH", "bin"}};
    CHECK(run(options).out == "found\n");
    options.directory = directory / "bin";
    options.environment = {{"PATH", "/nowhere:"}};
    CHECK(run(options).out == "found\n");
  }
  SECTION("an empty PATH names no directory") {
    options.directory = directory / "bin";
    options.environment = {{"PATH", ""}};
    CHECK(spawn_error(options) == Error{Code::kNotFound, "command not found: only-here (PATH is empty)"});
  }
  SECTION("a file that is not executable is named when nothing better is there") {
    options.environment = {{"PATH", directory / "noexec:/nowhere"}};
    const Error error = spawn_error(options);
    CHECK(error.code == Code::kRefused);
    CHECK(error.message.find(directory / "noexec/only-here is not executable") != std::string::npos);
  }
}

TEST_CASE("what cannot be run is refused with the reason") {
  const TempDirectory directory;
  SpawnOptions options;
  options.directory = directory.path();
  const auto error_of = [&](const std::string& command) {
    options.argv = {command};
    return spawn_error(options);
  };
  const auto says = [](const Error& error, const std::string& part) {
    INFO(error.message);
    return error.message.find(part) != std::string::npos;
  };

  CHECK(error_of("no-such-command") == Error{Code::kNotFound, "command not found: no-such-command"});
  CHECK(error_of("/no/such") == Error{Code::kNotFound, "command not found: /no/such"});
  CHECK(says(error_of("./missing"), "command not found: ./missing (in " + directory.path() + ")"));
  CHECK(error_of(directory.path()).code == Code::kRefused);
  CHECK(says(error_of(directory.path()), "is a directory"));
  directory.write("plain", "text");
  CHECK(error_of("./plain").code == Code::kRefused);
  CHECK(says(error_of("./plain"), "not executable"));
  directory.write("lost", "#! /no/such/interpreter -x\n", 0755);
  CHECK(error_of("./lost").code == Code::kRefused);
  CHECK(says(error_of("./lost"), "its interpreter /no/such/interpreter does not exist"));
  directory.write("dos", "#!/bin/sh\r\necho\r\n", 0755);
  CHECK(says(error_of("./dos"), "carriage return"));
  directory.write("damaged", std::string("\x7f") + "ELF" + std::string(60, '\0'), 0755);
  CHECK(error_of("./damaged").code == Code::kRefused);
  CHECK(says(error_of("./damaged"), "no program for this machine"));
  REQUIRE(::mkfifo((directory / "fifo").c_str(), 0755) == 0);
  CHECK(error_of("./fifo").code == Code::kRefused);
}

TEST_CASE("a script without an interpreter line is run by sh, as a shell does") {
  const TempDirectory directory;
  directory.write("script", "echo \"$0 $1\"\n", 0755);
  SpawnOptions options;
  options.argv = {"./script", "a b"};
  options.directory = directory.path();
  CHECK(run(options).out == "./script a b\n");
}

TEST_CASE("a missing working directory is named, whatever the command") {
  const TempDirectory directory;
  SpawnOptions options;
  options.directory = directory / "gone";
  for (const char* command : {"/bin/true", "./here"}) {
    options.argv = {command};
    const Error error = spawn_error(options);
    CHECK(error.code == Code::kIo);
    CHECK(error.message.find("working directory \"" + options.directory + "\": no such file or directory") !=
          std::string::npos);
  }
  options.directory = "relative";
  CHECK(spawn_error(options).code == Code::kInvalid);
}

TEST_CASE("input that no program could receive is refused before anything starts") {
  SpawnOptions options;
  CHECK(spawn_error(options).code == Code::kInvalid);
  options.argv = {""};
  CHECK(spawn_error(options).code == Code::kInvalid);
  options.argv = {"/bin/echo", std::string("a\0b", 3)};
  CHECK(spawn_error(options).message ==
        "argument 1 of \"/bin/echo\" holds a NUL byte, which no program can receive");
  options.argv = {"/bin/echo"};
  for (const std::string& name : {std::string(), std::string("A=B"), std::string("A\0B", 3)}) {
    options.environment = {{name, "value"}};
    CHECK(spawn_error(options).code == Code::kInvalid);
  }
  options.environment = {{"A", std::string("x\0y", 3)}};
  CHECK(spawn_error(options).code == Code::kInvalid);
}

TEST_CASE("arguments that are too large are refused and their size is named") {
  SpawnOptions options;
  options.argv = {"/bin/true", std::string(200'000, 'x')};
  Error error = spawn_error(options);
  CHECK(error.code == Code::kLimit);
  CHECK(error.message.find("200011 bytes of arguments") != std::string::npos);

  options.argv = {"/bin/true"};
  for (int i = 0; i < 100; ++i) options.argv.emplace_back(100'000, 'x');
  error = spawn_error(options);
  CHECK(error.code == Code::kLimit);
  CHECK(error.message.find("10000110 bytes of arguments") != std::string::npos);
}

std::string target_of(int descriptor) {
  char target[64] = {};
  REQUIRE(::readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), target, sizeof(target) - 1) >
          0);
  return target;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_CASE("our ends of the pipes do not block and nothing leaks into children") {
  SpawnOptions options = shell("read line; ls -l /proc/$$/fd");
  options.pipe_stdin = true;
  Running running(options);
  for (const int descriptor :
       {running.child().stdin_fd, running.child().stdout_fd, running.child().stderr_fd}) {
    CHECK((::fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK((::fcntl(running.child().pidfd, F_GETFD) & FD_CLOEXEC) != 0);
  char byte = 0;
  CHECK(::read(running.child().stdout_fd, &byte, 1) == -1);
  CHECK(errno == EAGAIN);
  REQUIRE(::write(running.child().stdin_fd, "\n", 1) == 1);
  const std::string listing = read_to_end(running.child().stdout_fd);
  CHECK(count_of(listing, "pidfd") == 0);
  for (const int descriptor :
       {running.child().stdin_fd, running.child().stdout_fd, running.child().stderr_fd}) {
    CHECK(count_of(listing, target_of(descriptor)) == 1);
  }
  CHECK(running.wait().code == 0);
}

TEST_CASE("the child's side of a pipe blocks as programs expect") {
  SpawnOptions options = shell("cat /proc/self/fdinfo/1");
  const std::string info = run(options).out;
  const auto flags = info.find("flags:");
  REQUIRE(flags != std::string::npos);
  CHECK((std::stoi(info.substr(flags + 6), nullptr, 8) & O_NONBLOCK) == 0);
}

TEST_CASE("children start with default signals and an empty mask") {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigaddset(&blocked, SIGTERM);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &blocked, &before) == 0);
  const auto pipe_before = ::signal(SIGPIPE, SIG_IGN);
  SpawnOptions options;
  options.argv = {"cat", "/proc/self/status"};
  const std::string status = run(options).out;
  sigset_t after;
  REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, &after) == 0);
  ::signal(SIGPIPE, pipe_before);
  const std::string none = ":\t0000000000000000\n";
  CHECK(status.find("SigBlk" + none + "SigIgn" + none + "SigCgt" + none) != std::string::npos);
  CHECK(sigismember(&after, SIGUSR1) == 1);
  CHECK(sigismember(&after, SIGUSR2) == 0);
}

TEST_CASE("every child leads its own process group") {
  Running running(shell("read line < /dev/zero"));
  CHECK(::getpgid(running.child().pid) == running.child().pid);
  CHECK(::getpgrp() != running.child().pid);
}

TEST_CASE("children get back the first limit of descriptors, from their first instruction on") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit lowered = before;
  lowered.rlim_cur = before.rlim_max - 100;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &lowered) == 0);
  raise_descriptor_limit();
  raise_descriptor_limit();
  rlimit raised{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &raised) == 0);
  CHECK(raised.rlim_cur == before.rlim_max);
  CHECK(run(shell("ulimit -n")).out == std::to_string(lowered.rlim_cur) + "\n");
  CHECK(run(shell("ulimit -Hn")).out == std::to_string(before.rlim_max) + "\n");
}

TEST_CASE("spawning fails cleanly when no descriptors are left") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const Descriptor lowest(::dup(0));
  REQUIRE(lowest.open());
  // From none left to just enough: every step of the way fails once, and nothing is lost.
  bool started = false;
  for (int more = 0; more < 12 && !started; ++more) {
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(lowest.get() + more);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
    auto child = spawn(shell("true"));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    started = child.ok();
    if (started) {
      CHECK(wait_readable(child->pidfd));
      CHECK(reap(*child).code >= 0);
      for (const int descriptor : {child->pidfd, child->stdout_fd, child->stderr_fd}) ::close(descriptor);
    } else {
      INFO(child.error().message);
      CHECK(child.error().code == Code::kLimit);
    }
    const Descriptor next(::dup(0));
    CHECK(next.get() == lowest.get() + 1);
  }
  CHECK(started);
}

TEST_CASE("many threads spawn at once") {
  std::vector<std::thread> threads;
  std::vector<int> bad(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &bad] {
      for (int i = 0; i < 25; ++i) {
        SpawnOptions options = shell("exit " + std::to_string(t * 25 + i));
        auto child = spawn(options);
        if (!child || !wait_readable(child->pidfd) || reap(*child).code != t * 25 + i)
          ++bad[static_cast<std::size_t>(t)];
        if (child) {
          for (const int descriptor : {child->pidfd, child->stdout_fd, child->stderr_fd}) ::close(descriptor);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(bad == std::vector<int>(4, 0));
}

}  // namespace
}  // namespace sloth::test
