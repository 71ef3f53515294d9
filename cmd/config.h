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
  int attempts = 0;  // most tasks at once; 0: as many as there are cores

  std::string run_id;  // of the run that goes on; "": one is made

  static Config from_environment();
};

}  // namespace sloth
