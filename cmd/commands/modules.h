// `sloth modules [NAME]`: what task code can call, from the stubs of the modules.
#pragma once

namespace CLI {
class App;
}

namespace sloth {

// Adds the command to `app`; when chosen it runs and sets `exit_code`. Both outlive parsing.
void add_modules_command(CLI::App& app, int& exit_code);

}  // namespace sloth
