#include "cmd/config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "runner/os/file_tree.h"

namespace sloth {
namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

Config Config::from_environment() {
  Config config;
  // The XDG rules: a relative path there is to be ignored.
  const std::string_view state_home = variable("XDG_STATE_HOME");
  const std::string base =
      state_home.starts_with('/') ? std::string(state_home) : join_path(home_directory(), ".local/state");
  config.state_directory = join_path(base, "sloth");
  config.stdout_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  config.color = config.stdout_is_terminal && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  config.cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return config;
}

}  // namespace sloth
