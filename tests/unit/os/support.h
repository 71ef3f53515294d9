// Shared by the tests of runner/os: children run to their end, temporary directories, deadlines.
#pragma once

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "runner/os/descriptor.h"
#include "runner/os/file_tree.h"
#include "runner/os/process.h"

#include <catch2/catch.hpp>

namespace sloth::test {

// Far beyond what anything here takes: only a hang reaches it.
inline constexpr std::chrono::seconds kDeadline{60};

class TempDirectory {
 public:
  TempDirectory() : path_(*make_temp_directory("sloth-os-test-")) {}
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() { static_cast<void>(remove_path(path_, true)); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    const std::string file = *this / name;
    REQUIRE(make_directory(directory_of(file)).ok());
    REQUIRE(write_file(file, text).ok());
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    return file;
  }

 private:
  std::string path_;
};

// False when the deadline passed first.
inline bool wait_readable(int descriptor, std::chrono::milliseconds limit = kDeadline) {
  pollfd entry{descriptor, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, static_cast<int>(limit.count()));
  } while (ready < 0 && errno == EINTR);
  return ready == 1;
}

// All that comes until the other side closes.
inline std::string read_to_end(int descriptor) {
  std::string text;
  char buffer[4096];
  for (;;) {
    REQUIRE(wait_readable(descriptor));
    const ssize_t count = ::read(descriptor, buffer, sizeof(buffer));
    if (count == 0) return text;
    REQUIRE(count > 0);
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

inline std::string read_line(int descriptor) {
  std::string line;
  char c = 0;
  while (c != '\n') {
    REQUIRE(wait_readable(descriptor));
    REQUIRE(::read(descriptor, &c, 1) == 1);
    if (c != '\n') line += c;
  }
  return line;
}

// Owns the descriptors of a child; kills and reaps it when the test did not.
class Running {
 public:
  explicit Running(const SpawnOptions& options) {
    auto child = spawn(options);
    INFO((child ? std::string() : child.error().message));
    REQUIRE(child.ok());
    child_ = *child;
    attempt_ = options.attempt;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (!reaped_) {
      kill_tree(child_.pid, attempt_);
      static_cast<void>(reap(child_));
    }
    for (const int descriptor : {child_.pidfd, child_.stdin_fd, child_.stdout_fd, child_.stderr_fd}) {
      if (descriptor >= 0) ::close(descriptor);
    }
  }

  [[nodiscard]] const Child& child() const { return child_; }
  ExitStatus wait() {
    REQUIRE(wait_readable(child_.pidfd));
    reaped_ = true;
    return reap(child_);
  }
  void close_stdin() { ::close(std::exchange(child_.stdin_fd, -1)); }

 private:
  Child child_;
  std::string attempt_;
  bool reaped_ = false;
};

struct Finished {
  std::string out;
  std::string err;
  ExitStatus end;
};

// For little output: standard error is read after standard output has ended.
inline Finished run(const SpawnOptions& options) {
  Running running(options);
  Finished finished;
  finished.out = read_to_end(running.child().stdout_fd);
  if (running.child().stderr_fd >= 0) finished.err = read_to_end(running.child().stderr_fd);
  finished.end = running.wait();
  return finished;
}

inline SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", script};
  return options;
}

inline Error spawn_error(const SpawnOptions& options) {
  auto child = spawn(options);
  REQUIRE_FALSE(child.ok());
  return child.error();
}

}  // namespace sloth::test
