// `sloth list`: what there is to run in a file.
#pragma once

namespace CLI {
class App;
}

namespace sloth {

// Adds the command to `app`; when chosen it runs and sets `exit_code`. Both outlive parsing.
void add_list_command(CLI::App& app, int& exit_code);

}  // namespace sloth
