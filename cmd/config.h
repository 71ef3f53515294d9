// Config: what the process takes from its environment: directories, colour, number of cores.
//
// A value.
#pragma once

#include <string>

namespace sloth {

struct Config {
  std::string state_directory;  // $XDG_STATE_HOME/sloth or ~/.local/state/sloth
  bool stdout_is_terminal = false;
  // Escape sequences may be used: a terminal, no NO_COLOR, no TERM=dumb.
  bool color = false;
  int cores = 1;

  static Config from_environment();
};

}  // namespace sloth
