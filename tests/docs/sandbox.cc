#include "tests/docs/sandbox.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
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

Run Sandbox::shell(const std::string& script) const {
  static const std::string kBin = std::filesystem::path(SLOTH_PROGRAM).parent_path().string();
  const std::string command =
      "cd " + quoted(directory_.string()) + " && exec env -u http_proxy -u https_proxy" +
      " HOME=" + quoted(directory_.string()) + " XDG_STATE_HOME=" + quoted(directory_.string() + "/.state") +
      " TMPDIR=" + quoted(directory_.string()) + " NO_COLOR=1 USER=tester PATH=" + quoted(kBin) +
      ":\"$PATH\"" + " timeout -k 2 120 sh -ec " + quoted(script) + " 2>&1 </dev/null";
  Run run;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    run.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

Run Sandbox::run(std::string_view text, const std::string& arguments) const {
  write("block.lua", text);
  return shell("exec sloth run block.lua --local " + arguments);
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
