#include "cmd/commands/modules.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cmd/exit_code.h"
#include "cmd/loading.h"
#include "cmd/output_file.h"
#include "cmd/stub_text.h"
#include "modules/builtin.h"
#include "runner/base/nearest.h"

namespace sloth {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  sloth modules              all modules, one line each\n"
    "  sloth modules exec         every call of one, with examples\n";

int show_modules(const std::string& wanted) {
  Executor executor({});
  const Builtins builtins(executor);
  std::string text;
  std::vector<std::string> names;
  std::size_t width = 0;
  for (const Module& module : builtins.modules()) width = std::max(width, module.name.size());
  for (const Module& module : builtins.modules()) {
    names.push_back(module.name);
    if (wanted.empty()) text += fmt::format("{:<{}}  {}\n", module.name, width, stub_summary(module.stub));
    if (module.name == wanted) text = stub_text(module.stub);
  }
  if (text.empty()) {
    return report_error({Code::kNotFound, fmt::format("no module \"{}\"{}\nsee: sloth modules", wanted,
                                                      did_you_mean(wanted, names))});
  }
  write_all(STDOUT_FILENO, text);
  return kExitOk;
}

}  // namespace

void add_modules_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("modules", "Describes what task code can call");
  command->footer(kFooter);
  auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "the module")->type_name("[NAME]");
  command->callback([name, &exit_code] { exit_code = show_modules(*name); });
}

}  // namespace sloth
