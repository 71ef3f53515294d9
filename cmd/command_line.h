// The command line: finds the command that argv names and runs it.
//
// Not shared: one thread at a time.
#pragma once

namespace sloth {

// The exit code. Wrong usage is told on stderr with the nearest name: kExitUsage, nothing ran.
int run_command_line(int argc, char** argv);

}  // namespace sloth
