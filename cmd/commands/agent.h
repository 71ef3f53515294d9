// `sloth agent`: start an agent; list, drain, remove agents; a command or the log of one.
#pragma once

namespace CLI {
class App;
}

namespace sloth {

// Adds the command; when it is chosen, `exit_code` gets what the process should exit with.
void add_agent_command(CLI::App& app, int& exit_code);

}  // namespace sloth
