#include "tests/support/sloth_program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

extern char** environ;

namespace sloth {
namespace {

namespace fs = std::filesystem;

constexpr double kLongest = 60;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string program() {
  const char* path = std::getenv("SLOTH_BINARY");
  REQUIRE(path != nullptr);
  return path;
}

std::vector<std::string> split(const std::string& words) {
  std::istringstream in(words);
  std::vector<std::string> list;
  for (std::string word; in >> word;) list.push_back(word);
  return list;
}

}  // namespace

Sloth::Sloth() {
  std::string pattern = (fs::temp_directory_path() / "sloth-e2e-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  directory_ = fs::canonical(pattern).string();
  environment_["XDG_STATE_HOME"] = directory_ + "/.state";
}

Sloth::Sloth(const Sloth& other, Beside)
    : directory_(other.directory_), owns_directory_(false), environment_(other.environment_) {}

Sloth::~Sloth() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (const int fd : {out_fd_, err_fd_}) {
    if (fd >= 0) ::close(fd);
  }
  if (!owns_directory_) return;
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

Sloth& Sloth::file(const std::string& path, std::string_view text) {
  const fs::path full = fs::path(directory_) / path;
  fs::create_directories(full.parent_path());
  std::ofstream(full, std::ios::binary) << text;
  return *this;
}

Sloth& Sloth::env(const std::string& name, const std::string& value) {
  environment_[name] = value;
  return *this;
}

Sloth& Sloth::in(const std::string& folder) {
  folder_ = folder;
  fs::create_directories(fs::path(directory_) / folder);
  return *this;
}

Sloth& Sloth::run(const std::string& words) { return run(split(words)); }

Sloth& Sloth::run(std::vector<std::string> words) {
  words_ = std::move(words);
  start("");
  return finish();
}

Sloth& Sloth::start(const std::string& words) {
  if (!words.empty()) words_ = split(words);
  out_.clear();
  err_.clear();
  std::vector<std::string> arguments = {program()};
  arguments.insert(arguments.end(), words_.begin(), words_.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (environment_.count(name) == 0 && !text.starts_with("SLOTH_") && name != "NO_COLOR")
      variables.push_back(text);
  }
  for (const auto& [name, value] : environment_) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  int out[2];
  int err[2];
  REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(err, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  const std::string folder = directory_ + "/" + folder_;
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  started_ = now();
  REQUIRE(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data()) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(err[1]);
  out_fd_ = out[0];
  err_fd_ = err[0];
  return *this;
}

bool Sloth::read_some(int milliseconds) {
  pollfd entries[2] = {{out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}};
  if (::poll(entries, 2, milliseconds) <= 0) return out_fd_ >= 0 || err_fd_ >= 0;
  char buffer[1 << 16];
  for (int i = 0; i < 2; ++i) {
    if (entries[i].revents == 0) continue;
    int& fd = i == 0 ? out_fd_ : err_fd_;
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count > 0) {
      (i == 0 ? out_ : err_).append(buffer, static_cast<std::size_t>(count));
    } else {
      ::close(fd);
      fd = -1;
    }
  }
  return out_fd_ >= 0 || err_fd_ >= 0;
}

void Sloth::await(const std::string& what, const std::string& buffer, std::string_view text) {
  while (buffer.find(text) == std::string::npos) {
    INFO(what << " never had: " << text << "\n" << story());
    REQUIRE(now() - started_ < kLongest);
    REQUIRE(read_some(100));
  }
}

Sloth& Sloth::wait_for(std::string_view text) {
  await("stdout", out_, text);
  return *this;
}

Sloth& Sloth::wait_for_error(std::string_view text) {
  await("stderr", err_, text);
  return *this;
}

Sloth& Sloth::signal(int number) {
  REQUIRE(::kill(pid_, number) == 0);
  return *this;
}

Sloth& Sloth::finish() {
  while (read_some(100)) {
    INFO("it did not end\n" << story());
    REQUIRE(now() - started_ < kLongest);
  }
  int status = 0;
  REQUIRE(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  seconds_ = now() - started_;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  return *this;
}

void Sloth::stop() {
  for (int tries = 0; pid_ > 0 && tries < 3; ++tries) {
    ::kill(pid_, SIGTERM);
    const double patience = now() + 20;
    while (now() < patience && read_some(100)) {
    }
    if (out_fd_ >= 0 || err_fd_ >= 0) continue;
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

Sloth& Sloth::code(int expected) {
  INFO(story());
  CHECK(status_ == expected);
  return *this;
}

Sloth& Sloth::stdout_has(std::string_view text) {
  INFO("stdout lacks: " << text << "\n" << story());
  CHECK(out_.find(text) != std::string::npos);
  return *this;
}

Sloth& Sloth::stdout_lacks(std::string_view text) {
  INFO("stdout has: " << text << "\n" << story());
  CHECK(out_.find(text) == std::string::npos);
  return *this;
}

Sloth& Sloth::stdout_is(std::string_view text) {
  INFO(story());
  CHECK(out_ == std::string(text));
  return *this;
}

Sloth& Sloth::stderr_has(std::string_view text) {
  INFO("stderr lacks: " << text << "\n" << story());
  CHECK(err_.find(text) != std::string::npos);
  return *this;
}

Sloth& Sloth::stderr_lacks(std::string_view text) {
  INFO("stderr has: " << text << "\n" << story());
  CHECK(err_.find(text) == std::string::npos);
  return *this;
}

Sloth& Sloth::stderr_is_empty() {
  INFO(story());
  CHECK(err_.empty());
  return *this;
}

Sloth& Sloth::stdout_in_order(std::initializer_list<std::string_view> texts) {
  std::size_t at = 0;
  for (const std::string_view text : texts) {
    INFO("not in its place on stdout: " << text << "\n" << story());
    const std::size_t found = out_.find(text, at);
    CHECK(found != std::string::npos);
    if (found != std::string::npos) at = found + text.size();
  }
  return *this;
}

std::string Sloth::content(const std::string& path) const {
  std::ostringstream text;
  text << std::ifstream(fs::path(directory_) / path, std::ios::binary).rdbuf();
  return text.str();
}

bool is_alive(const std::string& pid) {
  const std::string number = pid.substr(0, pid.find('\n'));
  REQUIRE_FALSE(number.empty());
  std::ostringstream text;
  text << std::ifstream("/proc/" + number + "/stat").rdbuf();
  const std::string stat = text.str();
  const auto end_of_name = stat.rfind(") ");
  return end_of_name != std::string::npos && stat[end_of_name + 2] != 'Z';
}

std::string Sloth::story() const {
  std::string text = "sloth";
  for (const std::string& word : words_) text += " " + word;
  return text + "\nexit code " + std::to_string(status_) + "\n--- stdout\n" + out_ + "\n--- stderr\n" + err_;
}

}  // namespace sloth
