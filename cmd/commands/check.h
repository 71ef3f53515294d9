// `sloth check`: everything that `sloth run` checks before anything runs.
#pragma once

namespace CLI {
class App;
}

namespace sloth {

// Adds the command to `app`; when chosen it runs and sets `exit_code`. Both outlive parsing.
void add_check_command(CLI::App& app, int& exit_code);

}  // namespace sloth
