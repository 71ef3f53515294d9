#include "cmd/commands/file_options.h"

#include <CLI/CLI.hpp>

namespace sloth {

void add_file_options(CLI::App& command, FileChoice& choice) {
  command.add_option("-f,--file", choice.file, "the task file; then every word is a task")->type_name("FILE");
  command
      .add_option("-v,--values", choice.value_files,
                  "YAML file that becomes the global `values`; may be given more than once, later ones win")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      .add_option("--set", choice.settings,
                  "one of the values: --set app.port=8080; numbers, true, false and JSON are taken as such.\n"
                  "The environment can set them too: SLOTH_VALUE_APP__PORT=8080")
      ->type_name("A.B=VALUE")
      ->allow_extra_args(false);
}

}  // namespace sloth
