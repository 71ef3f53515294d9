// `sloth version`: which build this is.
#pragma once

namespace CLI {
class App;
}

namespace sloth {

// Opens nothing; the exit code.
int print_version();

// Adds the command to `app`; when chosen it sets `exit_code`. Both outlive parsing.
void add_version_command(CLI::App& app, int& exit_code);

}  // namespace sloth
