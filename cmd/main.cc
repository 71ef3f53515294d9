// The program's entry: nothing but the edge at which an exception of the standard library ends.
#include <unistd.h>

#include <exception>
#include <string>

#include "cmd/command_line.h"
#include "cmd/exit_code.h"
#include "cmd/output_file.h"

int main(int argc, char** argv) {
  try {
    return sloth::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    sloth::write_all(STDERR_FILENO, std::string("sloth: ") + error.what() + "\n");
    return sloth::kExitUsage;
  }
}
