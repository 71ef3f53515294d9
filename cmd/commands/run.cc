#include "cmd/commands/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <random>

#include "agent/wire.h"
#include "cmd/commands/file_options.h"
#include "cmd/console.h"
#include "cmd/delegation.h"
#include "cmd/exit_code.h"
#include "cmd/json_console.h"
#include "cmd/resumption.h"
#include "cmd/values.h"
#include "runner/base/duration.h"
#include "runner/base/log.h"
#include "runner/base/nearest.h"
#include "runner/engine/engine.h"
#include "runner/engine/run_recorder.h"
#include "runner/engine/single_placement.h"
#include "runner/os/file_tree.h"
#include "runner/os/path.h"
#include "runner/os/process_tree.h"
#include "runner/store/run_log.h"

namespace sloth {
namespace {

constexpr const char* kFooter =
    "FILE is a word that ends in .lua or .sloth or holds a slash; other words are tasks. Without FILE: "
    "tasks.lua,\n"
    "tasks.sloth or sloth.lua here or in the nearest directory above. Without TASK: all tasks.\n"
    "\n"
    "Examples:\n"
    "  sloth run                           everything\n"
    "  sloth run ci.lua test               one task of another file, and what it needs\n"
    "  sloth run deploy -p env=staging     params.env is \"staging\" in the task\n"
    "  sloth run -v prod.yaml --set n=3    values.n is 3 in the file and its tasks\n"
    "  sloth run -n                        only shows what would run, and in which order\n"
    "  sloth run --output json             one JSON event per line, for programs\n"
    "\n"
    "Exit codes: 0 all well; 1 a task failed; 2 usage or a wrong task file, nothing ran; 3 how a task ended "
    "on its agent\n"
    "is unknown; 4 an agent refused; 5 an agent was not reached; 6 the record of runs cannot be written; 124 "
    "--timeout\n"
    "was over; 130 interrupted.\n";

struct RunFlags {
  FileChoice choice;
  std::vector<std::string> params;
  std::string workflow;
  std::string timeout;
  std::string agent_wait = "5m";
  std::vector<std::string> agents;
  std::string resume;  // the run that goes on
  std::vector<std::string> typed;
  std::string output = "auto";
  std::optional<int> jobs;
  bool local = false, dry_run = false, keep_going = false, quiet = false, verbose = false, no_color = false;
};

// Everything goes to the console; what belongs to the run also to its record.
class RunSink final : public EventSink {
 public:
  explicit RunSink(EventSink& console) : console_(console) {}

  void record_in(EventSink& recorder) { recorder_ = &recorder; }
  void on_event(const Event& event) override {
    console_.on_event(event);
    if (EventSink* recorder = recorder_) recorder->on_event(event);
    // What outlived its command came to this process when its parent ended.
    if (std::holds_alternative<TaskEnded>(event.body)) reap_orphans();
  }

 private:
  EventSink& console_;
  std::atomic<EventSink*> recorder_{nullptr};
};

Result<Duration> read_timeout(const std::string& text, const char* flag) {
  if (text.empty()) return Duration::zero();
  const bool seconds = text.find_first_not_of("0123456789.") == std::string::npos;
  Result<Duration> timeout =
      seconds ? duration_from_seconds(std::strtod(text.c_str(), nullptr)) : parse_duration(text);
  return timeout ? timeout : Result<Duration>(timeout.error().in(flag));
}

Result<Value::Map> read_params(const std::vector<std::string>& params) {
  Value::Map map;
  for (const std::string& param : params) {
    auto halves = split_setting(param, "-p");
    if (!halves) return halves.error();
    map.insert_or_assign(halves->first, halves->second);
  }
  return map;
}

Result<void> check_output(const std::string& output) {
  const std::vector<std::string> known = {"auto", "prefixed", "stream", "json"};
  if (std::find(known.begin(), known.end(), output) != known.end()) return {};
  for (const char* later : {"grouped", "tty", "github"}) {
    if (output == later)
      return Error{Code::kInvalid, fmt::format("--output {} is not available in this version", output)};
  }
  return Error{Code::kInvalid, fmt::format("--output \"{}\": one of auto, prefixed, stream, json{}", output,
                                           did_you_mean(output, known))};
}

// The targets of the plan, and the workflows that run as such.
struct Selection {
  std::vector<std::string> targets;
  std::vector<std::size_t> groups;
};

Result<Selection> select(const Workflow& workflow, const std::string& wanted,
                         std::vector<std::string> targets) {
  Selection selection{std::move(targets), {}};
  if (wanted.empty()) {
    for (std::size_t i = 0; selection.targets.empty() && i < workflow.groups.size(); ++i)
      selection.groups.push_back(i);
    return selection;
  }
  if (!selection.targets.empty()) {
    return Error{Code::kInvalid, "--workflow runs a whole workflow; name either it or tasks, not both"};
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < workflow.groups.size(); ++i) {
    names.push_back(workflow.groups[i].name);
    if (names.back() == wanted) selection.groups.push_back(i);
  }
  if (selection.groups.empty()) {
    return Error{Code::kNotFound,
                 fmt::format("{}: no workflow \"{}\"{}", workflow.file, wanted, did_you_mean(wanted, names))};
  }
  selection.targets = workflow.groups[selection.groups.front()].tasks;
  return selection;
}

// For `sloth WORD` when WORD is no task.
std::string command_hint(const std::vector<std::string>& words, const std::vector<std::string>& commands) {
  if (words.empty()) return "";
  const std::string command = nearest(words.front(), commands);
  if (command.empty())
    return fmt::format("\nno command is called \"{}\" either; see: sloth --help", words.front());
  return fmt::format("\nno command is called \"{}\" either; did you mean \"sloth {}\"?", words.front(),
                     command);
}

// What helps when the first word is no task: it was meant for a command, a file or, as in older versions, a
// stack.
std::string hint_for(const Workflow& workflow, const FileChoice& choice,
                     const std::vector<std::string>& targets, const std::vector<std::string>& commands) {
  if (targets.empty() || workflow.find(targets.front()) != nullptr) return "";
  const std::string& word = targets.front();
  if (!commands.empty()) {
    return command_hint(targets, commands);
  }
  if (!choice.file.empty()) {
    return fmt::format("\nwith -f every word is a task: drop \"{}\" to run all tasks of {}", word,
                       choice.file);
  }
  return exists(word) ? fmt::format("\nto run the file of that name: sloth run -f {}", word) : "";
}

bool delegates(const Workflow& workflow, const Plan& plan) {
  return std::any_of(plan.order().begin(), plan.order().end(),
                     [&](const std::string& name) { return !workflow.find(name)->delegate_to.empty(); });
}

// The agents of -d, for the tasks that name none.
Result<std::shared_ptr<const Workflow>> with_default_agents(std::shared_ptr<const Workflow> workflow,
                                                            const std::vector<std::string>& agents) {
  if (agents.empty()) return workflow;
  for (const std::string& agent : agents) {
    if (!is_name(agent)) return Error{Code::kInvalid, fmt::format("-d: \"{}\" is no agent name", agent)};
  }
  auto changed = std::make_shared<Workflow>(*workflow);
  for (TaskSpec& task : changed->tasks) {
    if (task.delegate_to.empty()) task.delegate_to = agents;
  }
  return std::shared_ptr<const Workflow>(std::move(changed));
}

void print_dry_run(const Workflow& workflow, const Plan& plan, OutputFile& out) {
  std::string text = fmt::format(
      "would run {} of {}:\n",
      plan.order().size() == 1 ? "1 task" : fmt::format("{} tasks", plan.order().size()), workflow.file);
  for (const std::string& name : plan.order()) {
    const TaskSpec& spec = *workflow.find(name);
    text += "  " + name;
    if (const auto* shell = std::get_if<ShellCommand>(&spec.command)) {
      text += "  $ " + shell->text.substr(0, shell->text.find('\n'));
    } else if (!spec.description.empty()) {
      text += "  " + spec.description;
    }
    if (!spec.depends_on.empty()) text += fmt::format("  (after {})", fmt::join(spec.depends_on, ", "));
    if (spec.run_if) text += "  (if its run_if says yes)";
    text += "\n";
  }
  out.write(text);
}

EngineOptions engine_options(const App& app, const RunFlags& flags, Selection selection, Value values) {
  EngineOptions options;
  options.run = app.run_id();
  options.jobs = flags.jobs.value_or(app.config().cores);
  options.keep_going = flags.keep_going;
  options.local_forced = flags.local;
  options.values = std::move(values);
  options.groups = std::move(selection.groups);
  return options;
}

RunRecorder::Open opener(const std::string& directory) {
  return [directory]() -> Result<std::unique_ptr<RunLog>> {
    if (auto made = make_directory(directory); !made) return made.error();
    return open_sqlite_run_log(join_path(directory, "runs.db"));
  };
}

// What a person who leaves in a hurry must know about what is on agents.
std::string left_behind(Delegation& delegation, const std::string& run) {
  const std::vector<std::string> tasks = delegation.live();
  if (tasks.empty()) return "";
  return fmt::format(
      "\nthese tasks go on on their agents: {}\n  sloth runs attach {}\n  sloth runs cancel {}",
      fmt::join(tasks, ", "), run, run);
}

// What of a run that goes on is not as one would expect, and ends what its local attempts left behind.
void take_over(const Resumption& past, const ResumedTasks& resumed, OutputFile& err) {
  err.write(
      fmt::format("resuming run {}: {} done before\n", past.run.id,
                  resumed.ended.size() == 1 ? "1 task" : fmt::format("{} tasks", resumed.ended.size())));
  for (const auto& [task, attempt] : resumed.broken_off) {
    const std::string id = local_attempt_id(past.run.id, task, attempt);
    const std::size_t left = tree_of(0, id).size();
    kill_tree(0, id);
    err.write(fmt::format("{}: attempt {} ended with its process{}; it runs again\n", task, attempt,
                          left == 0 ? "" : fmt::format(", {} that it had started only now", left)));
  }
  for (const std::string& task : resumed.forgotten) {
    err.write(fmt::format(
        "{}: it succeeded, but its outputs are not recorded and others need them; it runs again\n", task));
  }
}

int report_store(const Error& error, const std::string& directory) {
  write_all(STDERR_FILENO, fmt::format("sloth: the record of runs cannot be written, so nothing ran: {}\n"
                                       "make {} writable, or set XDG_STATE_HOME to a directory that is\n",
                                       error.message, directory));
  return kExitStore;
}

int run_tasks(const RunFlags& flags, const std::vector<std::string>& commands) {
  if (flags.jobs && *flags.jobs < 1) return report_error({Code::kInvalid, "-j must be 1 or more"});
  if (auto known = check_output(flags.output); !known) return report_error(known.error());
  Result<Duration> timeout = read_timeout(flags.timeout, "--timeout");
  if (!timeout) return report_error(timeout.error());
  const Result<Duration> agent_wait = read_timeout(flags.agent_wait, "--agent-wait");
  if (!agent_wait) return report_error(agent_wait.error());
  Result<Value::Map> params = read_params(flags.params);
  if (!params) return report_error(params.error());

  Config config = Config::from_environment();
  config.attempts = flags.jobs.value_or(config.cores);
  std::optional<Resumption> past;
  if (!flags.resume.empty()) {
    Result<Resumption> found = Resumption::of(config, flags.resume);
    if (!found) return report_error(found.error());
    past = std::move(*found);
    config.run_id = past->run.id;
  }
  App app(std::move(config));
  OutputFile out(STDOUT_FILENO, app.executor());
  OutputFile err(STDERR_FILENO, app.executor());
  const bool json = flags.output == "json";
  ConsoleOptions console_options;
  console_options.mode =
      flags.output == "stream" ? ConsoleOptions::Mode::kStream : ConsoleOptions::Mode::kPrefixed;
  console_options.color = app.config().color && !flags.no_color;
  console_options.to_terminal = app.config().stdout_is_terminal;
  console_options.quiet = flags.quiet;
  console_options.verbose = flags.verbose;
  Console console(console_options, out, err);
  JsonConsole json_console(out);
  RunSink sink(json ? static_cast<EventSink&>(json_console) : console);
  RunRecord record;
  record.id = app.run_id();
  record.started_ms = app.clock().wall_ms();
  record.pid = ::getpid();
  record.command = encode_command({current_directory(), flags.typed});
  std::unique_ptr<RunRecorder> recorder;

  // Opened while the file loads: a run that cannot be recorded must not begin.
  if (!flags.dry_run) {
    recorder = std::make_unique<RunRecorder>(app.executor(), app.clock(), record,
                                             opener(app.config().state_directory));
  }
  Result<LoadedFile> loaded = load_file(app, flags.choice, sink);
  if (!loaded) {
    Error error = loaded.error();
    if (error.code == Code::kNotFound && !commands.empty())
      error.message += command_hint(flags.choice.words, commands);
    return report_error(error);
  }
  auto with_agents = with_default_agents(loaded->workflow, flags.agents);
  if (!with_agents) return report_error(with_agents.error());
  loaded->workflow = std::move(*with_agents);
  const Workflow& workflow = *loaded->workflow;
  for (const std::string& warning : workflow.warnings) err.write("warning: " + warning + "\n");
  if (workflow.tasks.empty() && loaded->targets.empty() && flags.workflow.empty())
    return kExitOk;  // a script

  Result<Selection> selection = select(workflow, flags.workflow, loaded->targets);
  if (!selection) return report_error(selection.error());
  Result<Plan> plan = Plan::build(workflow, selection->targets);
  if (!plan) {
    Error error = plan.error();
    error.message += hint_for(workflow, flags.choice, loaded->targets, commands);
    return report_error(error);
  }
  if (flags.dry_run) {
    print_dry_run(workflow, *plan, out);
    return kExitOk;
  }
  std::unique_ptr<Delegation> delegation;
  if (!flags.local && delegates(workflow, *plan)) {
    delegation = std::make_unique<Delegation>(app, *agent_wait);
    if (auto known = delegation->check(workflow, *plan); !known) return report_error(known.error());
    if (past) {
      if (auto taken = delegation->resume(past->run.id); !taken) return report_error(taken.error());
    }
  }
  if (auto opened = recorder->opened(); !opened)
    return report_store(opened.error(), app.config().state_directory);
  recorder->set_file(workflow.file);
  if (past) recorder->resume_after(past->run.pid);
  if (delegation != nullptr || past) {
    if (auto begun = recorder->begin(); !begun) {
      return past && begun.error().code == Code::kInvalid
                 ? report_error(begun.error())
                 : report_store(begun.error(), app.config().state_directory);
    }
  }
  sink.record_in(*recorder);

  LuaTaskRunner& local = app.open_runner(workflow.directory);
  SinglePlacement here(local);
  if (delegation != nullptr) delegation->set_local(local);
  Placement& placement = delegation != nullptr ? static_cast<Placement&>(*delegation) : here;
  std::mt19937_64 generator(std::random_device{}());
  Engine engine({app.executor(), app.clock(), placement, *loaded->plan_vm, sink,
                 [&generator] { return std::uniform_real_distribution<double>()(generator); }});
  EngineOptions options = engine_options(app, flags, std::move(*selection), std::move(loaded->values));
  options.timeout = *timeout;
  options.params = std::move(*params);
  if (past) {
    ResumedTasks resumed = resume_tasks(past->tasks, workflow, *plan, flags.local);
    take_over(*past, resumed, err);
    options.ended = std::move(resumed.ended);
    options.first_attempt = std::move(resumed.first_attempt);
  }
  if (delegation != nullptr) {
    app.on_leave([&delegation, run = app.run_id()] { return left_behind(*delegation, run); });
  }
  std::promise<RunReport> promise;
  engine.run(loaded->workflow, std::move(*plan), std::move(options), app.stop(),
             [&promise](RunReport report) { promise.set_value(std::move(report)); });
  const RunReport report = promise.get_future().get();
  if (!json) {
    console.summarize(report, [&](const std::string& task, const Outcome& outcome) {
      // Without a place of its own (a shell command): where the task is declared.
      std::string place = outcome.place.empty() ? workflow.find(task)->place.text() : outcome.place;
      std::string excerpt = loaded->plan_vm->excerpt(place);
      return Console::Location{std::move(place), std::move(excerpt)};
    });
  }
  app.on_leave({});
  if (auto closed = recorder->close(report.exit_code()); !closed) {
    log_warn("this run is not fully recorded: {}", closed.error().message);
  }
  return report.exit_code();
}

}  // namespace

void add_run_command(CLI::App& app, int& exit_code, std::vector<std::string> typed,
                     std::vector<std::string> commands) {
  CLI::App* command = app.add_subcommand("run", "Runs tasks and what they depend on");
  command->footer(kFooter);
  auto flags = std::make_shared<RunFlags>();
  flags->typed = std::move(typed);
  command->add_option("words", flags->choice.words, "a task file first, then tasks; see below")
      ->type_name("[FILE] [TASK]...");
  add_file_options(*command, flags->choice);
  command->add_option("-p,--param", flags->params, "a parameter, over those of every task: -p env=staging")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("-j,--jobs", flags->jobs, "most tasks at once; default: as many as there are cores")
      ->type_name("N");
  command->add_flag("-k,--keep-going", flags->keep_going,
                    "after a failure go on with every task that does not depend on it");
  command->add_flag("-n,--dry-run", flags->dry_run, "show what would run, in order, and run nothing");
  command->add_flag("--local", flags->local, "run tasks that delegate_to an agent on this machine");
  command
      ->add_option("-d,--delegate-to", flags->agents, "the agent for tasks that name none; several: on each")
      ->type_name("AGENT")
      ->allow_extra_args(false);
  command
      ->add_option("--agent-wait", flags->agent_wait,
                   "longest wait for an agent that is not there; default: 5m")
      ->type_name("TIME");
  command->add_option("--workflow", flags->workflow, "run this workflow of the file only")->type_name("NAME");
  command->add_option("--timeout", flags->timeout, "end the whole run after that time (10m, 90s): exit 124")
      ->type_name("TIME");
  command
      ->add_option(
          "--output", flags->output,
          "auto; prefixed: output with the task's name in front; stream: output as it is; json: events")
      ->type_name("KIND");
  command->add_option("--resume", flags->resume)->group("");  // for sloth runs resume
  command->add_flag("-q,--quiet", flags->quiet, "only failures");
  command->add_flag("--verbose", flags->verbose, "also log.debug and the reason of every skipped task");
  command->add_flag("--no-color", flags->no_color, "no colours, also on a terminal");
  command->callback(
      [flags, commands = std::move(commands), &exit_code] { exit_code = run_tasks(*flags, commands); });
}

}  // namespace sloth
