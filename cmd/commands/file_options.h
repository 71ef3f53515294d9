// The options that name a file and what it sees: the same for run, list and check.
#pragma once

#include "cmd/loading.h"

namespace CLI {
class App;
}

namespace sloth {

// Adds -f, -v, --set to `command`; `choice` outlives parsing.
void add_file_options(CLI::App& command, FileChoice& choice);

}  // namespace sloth
