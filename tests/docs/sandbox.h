// Sandbox: a fresh directory in which shell commands run with the real `sloth` first on their PATH.
//
// Not shared: one thread at a time. The directory is removed with the object. Commands see it as their HOME,
// so that nothing outside is touched; they are ended after two minutes, with all they started.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace sloth::testing {

struct Run {
  int exit_code = 0;
  std::string output;  // stdout and stderr as they came
};

class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

  // How `script` is run there: words for /bin/sh.
  [[nodiscard]] std::string command(const std::string& script) const;

  // A file below the directory; folders are made.
  void write(const std::string& name, std::string_view text) const;

  // A script as `sh -e` runs it, in the directory.
  [[nodiscard]] Run shell(const std::string& script) const;

  // `sloth run FILE` of a file with that text, and these words.
  [[nodiscard]] Run run(std::string_view text, const std::string& words = "--local") const;

 private:
  std::filesystem::path directory_;
};

// A script that goes on in the sandbox beside others: `sloth agent start`. Fails the test unless it says
// within 30 s that it is connected to the master. At the end it is told to go; what it runs is cancelled.
//
// Not shared: one thread at a time. The sandbox outlives it.
class BackgroundAgent {
 public:
  BackgroundAgent(const Sandbox& sandbox, const std::string& script);
  ~BackgroundAgent();
  BackgroundAgent(const BackgroundAgent&) = delete;
  BackgroundAgent& operator=(const BackgroundAgent&) = delete;

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

// A port of 127.0.0.1 that refuses connections as long as the object lives: bound, not listening.
class ClosedPort {
 public:
  ClosedPort();
  ~ClosedPort();
  ClosedPort(const ClosedPort&) = delete;
  ClosedPort& operator=(const ClosedPort&) = delete;

  [[nodiscard]] std::string url() const;

 private:
  int socket_;
  int port_ = 0;
};

// Text of a file of the source tree. Fails the test when it cannot be read.
std::string source_text(const std::string& name);

// Every occurrence replaced. Fails the test when there is none: the text has drifted.
std::string replaced(std::string text, std::string_view old, std::string_view with);

}  // namespace sloth::testing
