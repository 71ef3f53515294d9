// `sloth runs`: the record of runs; following and ending what a run left on agents.
#pragma once

namespace CLI {
class App;
}

namespace sloth {

// Adds the command; when it is chosen, `exit_code` gets what the process should exit with.
void add_runs_command(CLI::App& app, int& exit_code);

}  // namespace sloth
