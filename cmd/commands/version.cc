#include "cmd/commands/version.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <string>

#include "cmd/exit_code.h"
#include "cmd/output_file.h"
#include "runner/base/version.h"

namespace sloth {

int print_version() {
  const std::string revision = git_revision();
  write_all(STDOUT_FILENO,
            std::string("sloth ") + version() + (revision.empty() ? "" : " (" + revision + ")") + "\n");
  return kExitOk;
}

void add_version_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("version", "Tells which build this is");
  command->callback([&exit_code] { exit_code = print_version(); });
}

}  // namespace sloth
