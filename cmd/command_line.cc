#include "cmd/command_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "cmd/commands/agent.h"
#include "cmd/commands/attempt.h"
#include "cmd/commands/check.h"
#include "cmd/commands/list.h"
#include "cmd/commands/master.h"
#include "cmd/commands/modules.h"
#include "cmd/commands/run.h"
#include "cmd/commands/runs.h"
#include "cmd/commands/version.h"
#include "cmd/exit_code.h"
#include "cmd/output_file.h"
#include "runner/base/nearest.h"

namespace sloth {
namespace {

constexpr const char* kCommands[] = {"run", "list", "check", "agent", "master", "runs", "modules", "version"};
// What the design has and this version has not: named, so that nobody hunts for a spelling mistake.
constexpr const char* kLaterCommands[] = {"graph",      "init",   "state",   "secrets",
                                          "completion", "doctor", "workflow"};
constexpr const char* kLaterFlags[] = {"--check",  "--diff",  "--force",        "--only", "--skip",
                                       "--watch",  "-w",      "--yes",          "-y",     "--junit",
                                       "--report", "--trace", "--schedule-seed"};

constexpr const char* kFooter =
    "Examples:\n"
    "  sloth run                  all tasks of tasks.lua here, or in the nearest directory above\n"
    "  sloth run build test       these two and what they need\n"
    "  sloth build                the same for one task, when no command has its name\n"
    "  sloth run ci.lua -j 4 -k   another file, four tasks at once, go on after a failure\n"
    "  sloth list                 what there is to run\n"
    "  sloth modules http         what task code can call\n"
    "\n"
    "A first tasks.lua:\n"
    "  task(\"build\"):command(\"make\"):build()\n"
    "  task(\"test\"):depends_on(\"build\"):command(function() log.info(\"testing\") return true "
    "end):build()\n";

bool is_one_of(const std::string& word, const auto& list) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

int usage_error(const std::string& message, const std::string& command) {
  write_all(STDERR_FILENO,
            fmt::format("sloth: {}\nsee: sloth {}--help\n", message, command.empty() ? "" : command + " "));
  return kExitUsage;
}

// The part of "--flag=value" that names the flag.
std::string flag_name(const std::string& word) { return word.substr(0, word.find('=')); }

// Flags that no command knows, told by name.
int unknown_words(const std::vector<std::string>& words, const CLI::App& app, const std::string& command) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    for (const std::string& name : option->get_snames()) known.push_back("-" + name);
  }
  for (const std::string& word : words) {
    if (!word.starts_with('-')) continue;
    const std::string flag = flag_name(word);
    if (is_one_of(flag, kLaterFlags)) return usage_error(flag + " is not available in this version", command);
    return usage_error(fmt::format("unknown flag \"{}\"{}", flag, did_you_mean(flag, known)), command);
  }
  return usage_error(fmt::format("unexpected argument \"{}\"", words.empty() ? "" : words.front()), command);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && (words[0] == "--version" || words[0] == "-V")) words[0] = "version";
  if (words.size() == 1 && words[0] == "version") return print_version();
  // Not for people, so in no list; quick, since every attempt begins here.
  if (words.size() == 1 && words[0] == "attempt") return run_attempt_command();

  CLI::App app("Runs the tasks of a task file: in parallel, with their dependencies, from Lua.", "sloth");
  app.footer(kFooter);
  app.set_help_flag("-h,--help", "show this and leave");
  app.require_subcommand(0, 1);
  std::string command = words.empty() || words[0].starts_with('-') ? "" : words[0];
  if (is_one_of(command, kLaterCommands)) {
    return usage_error(fmt::format("\"{}\" is not available in this version", command), "");
  }
  // `sloth build` is `sloth run build`.
  const bool implied = !command.empty() && !is_one_of(command, kCommands);
  if (implied) {
    words.insert(words.begin(), "run");
    command = "run";
  }
  if (words.empty()) words.emplace_back("--help");

  int exit_code = kExitOk;
  add_run_command(app, exit_code,
                  command == "run" ? std::vector<std::string>(words.begin() + 1, words.end())
                                   : std::vector<std::string>(),
                  implied ? std::vector<std::string>(std::begin(kCommands), std::end(kCommands))
                          : std::vector<std::string>());
  add_list_command(app, exit_code);
  add_check_command(app, exit_code);
  add_agent_command(app, exit_code);
  add_master_command(app, exit_code);
  add_runs_command(app, exit_code);
  add_modules_command(app, exit_code);
  add_version_command(app, exit_code);
  const CLI::App* chosen = command.empty() ? &app : app.get_subcommand(command);
  try {
    std::reverse(words.begin(), words.end());  // the order that parse() takes
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    write_all(STDOUT_FILENO, app.help());
    return kExitOk;
  } catch (const CLI::ExtrasError& error) {
    auto extras = chosen->remaining();
    if (extras.empty()) extras = app.remaining(true);
    return unknown_words(extras, *chosen, command);
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what(), command);
  }
  return exit_code;
}

}  // namespace sloth
