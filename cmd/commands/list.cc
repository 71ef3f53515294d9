#include "cmd/commands/list.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cmd/commands/file_options.h"
#include "cmd/console.h"
#include "cmd/exit_code.h"
#include "runner/base/json.h"

namespace sloth {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  sloth list\n"
    "  sloth list ci.lua\n"
    "  sloth list --output json | jq -r '.tasks[].name'\n";

struct ListFlags {
  FileChoice choice;
  std::string output = "text";
};

Value list_of(const std::vector<std::string>& names) { return Value::List(names.begin(), names.end()); }

std::string as_json(const Workflow& workflow) {
  Value::List tasks;
  for (const TaskSpec& spec : workflow.tasks) {
    tasks.emplace_back(Value::Map{{"name", spec.name},
                                  {"description", spec.description},
                                  {"workflow", spec.workflow},
                                  {"depends_on", list_of(spec.depends_on)},
                                  {"delegate_to", list_of(spec.delegate_to)},
                                  {"place", spec.place.text()}});
  }
  Value::List groups;
  for (const WorkflowGroup& group : workflow.groups) {
    groups.emplace_back(Value::Map{{"name", group.name},
                                   {"description", group.description},
                                   {"version", group.version},
                                   {"tasks", list_of(group.tasks)}});
  }
  return to_json(
      Value::Map{{"file", workflow.file}, {"tasks", std::move(tasks)}, {"workflows", std::move(groups)}}, 2);
}

std::string as_text(const Workflow& workflow) {
  std::size_t width = 0;
  for (const TaskSpec& spec : workflow.tasks) width = std::max(width, spec.name.size());
  width = std::min<std::size_t>(width, 40);
  std::string text;
  for (const TaskSpec& spec : workflow.tasks) {
    std::string line = fmt::format("{:<{}}  {}", spec.name, width, spec.description);
    if (!spec.depends_on.empty())
      line +=
          fmt::format("{}needs {}", spec.description.empty() ? "" : "  ", fmt::join(spec.depends_on, ", "));
    if (!spec.delegate_to.empty()) line += fmt::format("  on {}", fmt::join(spec.delegate_to, ", "));
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  }
  for (const WorkflowGroup& group : workflow.groups) {
    text +=
        fmt::format("\nworkflow {}{}{}\n  {}\n", group.name, group.version.empty() ? "" : " " + group.version,
                    group.description.empty() ? "" : ": " + group.description, fmt::join(group.tasks, ", "));
  }
  return text.empty() ? workflow.file + " declares no tasks\n" : text;
}

int list_tasks(const ListFlags& flags) {
  if (flags.output != "text" && flags.output != "json") {
    return report_error({Code::kInvalid, fmt::format("--output \"{}\": text or json", flags.output)});
  }
  App app(Config::from_environment());
  OutputFile out(STDOUT_FILENO, app.executor());
  OutputFile err(STDERR_FILENO, app.executor());
  // What the file prints must not mix with the list.
  Console console({}, err, err);
  const Result<LoadedFile> loaded = load_file(app, flags.choice, console);
  if (!loaded) return report_error(loaded.error());
  out.write(flags.output == "json" ? as_json(*loaded->workflow) + "\n" : as_text(*loaded->workflow));
  return kExitOk;
}

}  // namespace

void add_list_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("list", "Lists the tasks of a file");
  command->footer(kFooter);
  auto flags = std::make_shared<ListFlags>();
  command->add_option("file", flags->choice.words, "the task file")->type_name("[FILE]")->expected(0, 1);
  add_file_options(*command, flags->choice);
  command->add_option("--output", flags->output, "text or json")->type_name("KIND");
  command->callback([flags, &exit_code] {
    if (!flags->choice.words.empty()) flags->choice.file = flags->choice.words.front();
    exit_code = list_tasks(*flags);
  });
}

}  // namespace sloth
