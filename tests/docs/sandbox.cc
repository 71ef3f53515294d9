#include "tests/docs/sandbox.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace sloth::testing {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

}  // namespace

Sandbox::Sandbox() {
  std::string pattern = (std::filesystem::temp_directory_path() / "sloth-docs-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
}

Sandbox::~Sandbox() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Sandbox::write(const std::string& name, std::string_view text) const {
  const std::filesystem::path path = directory_ / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string Sandbox::command(const std::string& script) const {
  static const std::string kBin = std::filesystem::path(SLOTH_PROGRAM).parent_path().string();
  return "cd " + quoted(directory_.string()) + " && exec env -u http_proxy -u https_proxy" +
         " HOME=" + quoted(directory_.string()) +
         " XDG_STATE_HOME=" + quoted(directory_.string() + "/.state") +
         " TMPDIR=" + quoted(directory_.string()) + " NO_COLOR=1 USER=tester PATH=" + quoted(kBin) +
         ":\"$PATH\"" + " sh -ec " + quoted(script);
}

Run Sandbox::shell(const std::string& script) const {
  const std::string line = "timeout -k 2 120 sh -c " + quoted(command(script)) + " 2>&1 </dev/null";
  Run run;
  FILE* pipe = popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    run.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

Run Sandbox::run(std::string_view text, const std::string& words) const {
  write("block.lua", text);
  return shell("exec sloth run block.lua " + words);
}

BackgroundAgent::BackgroundAgent(const Sandbox& sandbox, const std::string& script) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds kPatience{30};
  // Attempts of an agent that is root are another user, who must get to their workspace.
  REQUIRE(chmod(sandbox.directory().c_str(), 0711) == 0);
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const std::string command = sandbox.command("exec " + script);
  pid_ = fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  output_ = ends[0];
  std::string said;
  for (const auto deadline = Clock::now() + kPatience;
       said.find("connected to the master") == std::string::npos;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd readable{output_, POLLIN, 0};
    std::array<char, 4096> buffer;
    ssize_t count = 0;
    if (left.count() > 0 && poll(&readable, 1, static_cast<int>(left.count())) == 1) {
      count = read(output_, buffer.data(), buffer.size());
    }
    INFO(script << "--- said\n" << said);
    REQUIRE(count > 0);
    said.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

BackgroundAgent::~BackgroundAgent() {
  // Draining, cancelling, leaving at once, then for good.
  for (const int signal : {SIGTERM, SIGTERM, SIGTERM, SIGKILL}) {
    kill(pid_, signal);
    for (int i = 0; i < 100 && pid_ > 0; ++i) {
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
      if (pid_ > 0) poll(nullptr, 0, 50);
    }
    if (pid_ < 0) break;
  }
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
  close(output_);
}

ClosedPort::ClosedPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(socket_, generic, size) == 0);
  REQUIRE(getsockname(socket_, generic, &size) == 0);
  port_ = ntohs(address.sin_port);
}

ClosedPort::~ClosedPort() { close(socket_); }

std::string ClosedPort::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::string source_text(const std::string& name) {
  std::ifstream in(std::filesystem::path(SLOTH_SOURCE_DIR) / name, std::ios::binary);
  INFO(name);
  REQUIRE(in.good());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string replaced(std::string text, std::string_view old, std::string_view with) {
  std::size_t at = text.find(old);
  INFO("looking for: " << old);
  REQUIRE(at != std::string::npos);
  for (; at != std::string::npos; at = text.find(old, at + with.size())) text.replace(at, old.size(), with);
  return text;
}

}  // namespace sloth::testing
