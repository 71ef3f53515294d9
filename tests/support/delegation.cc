#include "tests/support/delegation.h"

#include <csignal>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sloth {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

Agency::Agency() {
  // Attempts of an agent that is root would run as nobody, who may not enter a test's directory.
  if (::geteuid() == 0) home_.file("policy.json", R"({"users": ["root"], "default_user": "root"})");
}

Agency::~Agency() {
  for (const auto& process : processes_) {
    if (process->pid() > 0) ::kill(process->pid(), SIGTERM);
  }
  for (const auto& process : processes_) process->stop();
  const std::vector<std::string> left = leftovers();
  std::string text;
  for (const std::string& command : left) text += command + "\n";
  INFO("processes are left:\n" << text);
  CHECK(left.empty());
}

Sloth& Agency::another() {
  processes_.push_back(std::unique_ptr<Sloth>(new Sloth(home_.beside())));
  return *processes_.back();
}

Sloth& Agency::agent(const std::string& name, const std::string& more) {
  const std::string policy = ::geteuid() == 0 ? " --policy " + home_.directory() + "/policy.json" : "";
  return another().start("agent start --name " + name + policy + " " + more).wait_for_error("connected to the master");
}

Sloth& Agency::master(const std::string& more) {
  return another().start("master start " + more).wait_for_error("ready");
}

void Agency::kill(Sloth& process) { process.signal(SIGKILL).finish().code(1000 + SIGKILL); }

std::vector<std::string> Agency::leftovers() const {
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string number = entry.path().filename();
    if (number.find_first_not_of("0123456789") != std::string::npos || number == std::to_string(::getpid())) continue;
    std::error_code error;
    const std::string where = fs::read_symlink(entry.path() / "cwd", error).string();
    if (error || !where.starts_with(home_.directory())) continue;
    std::string command = content_of(entry.path() / "cmdline");
    std::replace(command.begin(), command.end(), '\0', ' ');
    if (!command.empty()) left.push_back(number + " " + command);
  }
  return left;
}

}  // namespace sloth
