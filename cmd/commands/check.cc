#include "cmd/commands/check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/commands/file_options.h"
#include "cmd/console.h"
#include "cmd/exit_code.h"
#include "runner/task/plan.h"

namespace sloth {
namespace {

constexpr const char* kFooter =
    "Loads the file as `sloth run` does, so its top level runs; no task does. Finds wrong names, options and "
    "durations,\n"
    "cycles, unknown dependencies and captured values that a task cannot take along. All problems are told "
    "at once.\n"
    "\n"
    "Examples:\n"
    "  sloth check\n"
    "  sloth check ci.lua -v prod.yaml\n"
    "\n"
    "Exit codes: 0 no problems; 2 problems.\n";

int check_file(const FileChoice& choice) {
  App app(Config::from_environment());
  OutputFile out(STDOUT_FILENO, app.executor());
  OutputFile err(STDERR_FILENO, app.executor());
  Console console({}, err, err);
  const Result<LoadedFile> loaded = load_file(app, choice, console);
  if (!loaded) return report_error(loaded.error());
  const Workflow& workflow = *loaded->workflow;
  for (const std::string& warning : workflow.warnings) err.write("warning: " + warning + "\n");
  const Result<Plan> plan = Plan::build(workflow, {});
  if (!plan) return report_error(plan.error());
  const std::size_t count = workflow.tasks.size();
  out.write(fmt::format("{}: {} {}, no problems\n", workflow.file, count, count == 1 ? "task" : "tasks"));
  return kExitOk;
}

}  // namespace

void add_check_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("check", "Finds the problems of a task file without running it");
  command->footer(kFooter);
  auto choice = std::make_shared<FileChoice>();
  command->add_option("file", choice->words, "the task file")->type_name("[FILE]")->expected(0, 1);
  add_file_options(*command, *choice);
  command->callback([choice, &exit_code] {
    if (!choice->words.empty()) choice->file = choice->words.front();
    exit_code = check_file(*choice);
  });
}

}  // namespace sloth
