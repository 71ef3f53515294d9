// `sloth master`: the master of this machine's user in a process of its own.
#pragma once

namespace CLI {
class App;
}

namespace sloth {

// Adds the command; when it is chosen, `exit_code` gets what the process should exit with.
void add_master_command(CLI::App& app, int& exit_code);

}  // namespace sloth
