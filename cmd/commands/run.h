// `sloth run`: runs tasks.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace sloth {

// Adds the command to `app`; when chosen it runs and sets `exit_code`. Both outlive parsing. `typed`: what
// the user wrote after "run". `commands`: when the user did not write "run", the names that the first word
// might have been meant for.
void add_run_command(CLI::App& app, int& exit_code, std::vector<std::string> typed,
                     std::vector<std::string> commands);

}  // namespace sloth
