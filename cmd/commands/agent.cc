#include "cmd/commands/agent.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "cmd/commands/agent_start.h"
#include "cmd/console.h"
#include "cmd/delegation.h"
#include "cmd/exit_code.h"
#include "cmd/loading.h"
#include "runner/base/duration.h"
#include "runner/base/json.h"
#include "runner/base/nearest.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  sloth agent start --name web-1       in one terminal: takes work until Ctrl-C\n"
    "  sloth run deploy.lua                 in another: tasks with :delegate_to(\"web-1\") run there\n"
    "  sloth agent list\n"
    "  sloth agent exec web-1 -- uptime     one command on it\n"
    "  sloth agent drain web-1              finishes what it runs, then leaves\n";

constexpr std::chrono::seconds kWait{10};

// The master, and a caller of it that is no run. Hosts none: without a master there is nothing to ask about.
struct Caller {
  explicit Caller(App& app, bool may_host = false)
      : master(options(app, may_host), app.executor(), app.clock()),
        client({.run = app.run_id(), .version = ""}, master, app.executor(), app.clock()) {}
  static LocalMaster::Options options(App& app, bool may_host) {
    LocalMaster::Options options = local_master_options(app.config());
    options.may_host = may_host;
    return options;
  }
  LocalMaster master;
  RunClient client;
};

std::string ago(std::int64_t wall_ms, std::int64_t now_ms) {
  if (wall_ms == 0) return "never";
  const auto seconds = std::chrono::seconds(std::max<std::int64_t>(0, (now_ms - wall_ms) / 1000));
  return seconds.count() == 0 ? "now" : format_duration(seconds) + " ago";
}

std::string state_of(const AgentInfo& agent) {
  if (!agent.connected) return "offline";
  return agent.draining ? "draining" : "ready";
}

int list_agents(const std::string& output) {
  App app(Config::from_environment());
  Caller caller(app, true);
  const auto answer = ask_master(caller.client, ListAgents{}, kWait);
  if (!answer) return report_error(answer.error());
  const auto& agents = std::get<Agents>(*answer).agents;
  std::string text;
  if (output == "json") {
    Value::List list;
    for (const AgentInfo& agent : agents) {
      list.emplace_back(Value::Map{{"name", agent.name},
                                   {"state", state_of(agent)},
                                   {"running", agent.running},
                                   {"queued", agent.queued},
                                   {"max_attempts", agent.max_attempts},
                                   {"host", agent.host},
                                   {"pid", agent.pid},
                                   {"version", agent.version},
                                   {"last_seen_ms", agent.last_seen_ms}});
    }
    text = to_json(Value(Value::Map{{"agents", std::move(list)}})) + "\n";
  } else if (agents.empty()) {
    text = "no agent has ever joined; start one: sloth agent start --name NAME\n";
  } else {
    std::size_t width = 4;
    for (const AgentInfo& agent : agents) width = std::max(width, agent.name.size());
    text = fmt::format("{:<{}}  {:<8}  {:>7}  {:>6}  {:<12}  {}\n", "NAME", width, "STATE", "RUNNING", "QUEUED", "SEEN", "HOST");
    for (const AgentInfo& agent : agents) {
      text += fmt::format("{:<{}}  {:<8}  {:>7}  {:>6}  {:<12}  {} (pid {}, {})\n", agent.name, width, state_of(agent),
                          agent.running, agent.queued, ago(agent.last_seen_ms, app.clock().wall_ms()), agent.host,
                          agent.pid, agent.version);
    }
  }
  write_all(STDOUT_FILENO, text);
  return kExitOk;
}

int command_agent(AgentCommand::Kind kind, const std::string& name) {
  App app(Config::from_environment());
  Caller caller(app, true);
  const auto answer = ask_master(caller.client, AgentCommand{kind, name}, kWait);
  if (!answer) return report_error(answer.error());
  const auto& done = std::get<CommandAnswer>(*answer);
  if (!done.error.empty()) {
    report_error({Code::kRefused, done.error});
    return kExitRefused;
  }
  write_all(STDOUT_FILENO, kind == AgentCommand::Kind::kDrain
                               ? fmt::format("agent {}: draining; it leaves when what it runs is done\n", name)
                               : fmt::format("agent {}: forgotten\n", name));
  return kExitOk;
}

// Output byte for byte on the stream it was written to.
class PlainSink final : public EventSink {
 public:
  PlainSink(OutputFile& out, OutputFile& err) : out_(out), err_(err) {}
  void on_event(const Event& event) override {
    if (const auto* output = std::get_if<TaskOutput>(&event.body)) {
      (output->stream == OutputStream::kStdout ? out_ : err_).write(output->bytes);
    } else if (const auto* log = std::get_if<TaskLog>(&event.body)) {
      err_.write(log->text + "\n");
    }
  }

 private:
  OutputFile& out_;
  OutputFile& err_;
};

std::string quoted_for_shell(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

int exit_code_for(const Outcome& outcome) {
  switch (outcome.kind) {
    case OutcomeKind::kSucceeded: return kExitOk;
    case OutcomeKind::kUnknown: return kExitUnknown;
    case OutcomeKind::kRefused: return kExitRefused;
    case OutcomeKind::kUnreachable: return kExitUnreachable;
    case OutcomeKind::kTimedOut: return kExitTimedOut;
    case OutcomeKind::kCancelled: return kExitInterrupted;
    default: break;
  }
  const Value* code = outcome.outputs.get("exit_code");
  return code != nullptr && code->is_number() ? static_cast<int>(code->as_number()) : kExitTaskFailed;
}

int exec_on_agent(const std::string& name, const std::vector<std::string>& words) {
  App app(Config::from_environment());
  OutputFile out(STDOUT_FILENO, app.executor());
  OutputFile err(STDERR_FILENO, app.executor());
  PlainSink sink(out, err);
  auto spec = std::make_shared<TaskSpec>();
  spec->name = "exec";
  spec->delegate_to = {name};
  // One word is a line for the shell, as with ssh; several are a command and its arguments.
  std::string line = words.front();
  if (words.size() > 1) {
    line.clear();
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + quoted_for_shell(word);
  }
  spec->command = ShellCommand{line};
  Workflow workflow;
  workflow.tasks = {*spec};
  auto plan = Plan::build(workflow, {"exec"});
  if (!plan) return report_error(plan.error());
  Delegation delegation(app, kWait);
  if (auto known = delegation.check(workflow, *plan); !known) {
    return report_error({known.error().code, fmt::format("unknown agent \"{}\"; see: sloth agent list", name)});
  }
  TaskRequest request;
  request.spec = spec;
  request.run = app.run_id();
  std::promise<Outcome> promise;
  delegation.runner_for(*spec).start(std::move(request), sink, app.stop(),
                                     [&promise](Outcome outcome) { promise.set_value(std::move(outcome)); });
  const Outcome outcome = promise.get_future().get();
  if (!outcome.succeeded() && outcome.outputs.get("exit_code") == nullptr) {
    err.write(fmt::format("sloth: {}: {}\n", name, outcome.message));
  }
  return exit_code_for(outcome);
}

int show_log(const std::string& name, int lines) {
  const Config config = Config::from_environment();
  auto text = read_file(agent_log_path(agents_directory(config), name), std::uint64_t{16} << 20);
  if (!text) {
    const auto names = list_directory(agents_directory(config));
    return report_error({Code::kNotFound, fmt::format("no log of an agent \"{}\" on this machine{}", name,
                                                      names ? did_you_mean(name, *names) : "")});
  }
  std::size_t start = text->size();
  for (int line = 0; line <= lines && start != std::string::npos && start > 0; ++line) {
    start = text->rfind('\n', start - 1);
  }
  write_all(STDOUT_FILENO, start == std::string::npos || start == 0 ? *text : text->substr(start + 1));
  return kExitOk;
}

}  // namespace

void add_agent_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("agent", "Runs an agent, and works with those there are");
  command->footer(kFooter);
  command->require_subcommand(1);

  CLI::App* start = command->add_subcommand("start", "Takes work from the master until it is told to go");
  auto flags = std::make_shared<AgentStartFlags>();
  start->add_option("--name", flags->name, "how tasks call it; default: the name of this host")->type_name("NAME");
  start->add_option("--policy", flags->policy, "what others may do here; default: /etc/sloth/agent.json")
      ->type_name("FILE");
  start->add_option("--drain-timeout", flags->drain_timeout, "after SIGTERM, cancel what still runs after that time")
      ->type_name("TIME");
  start->add_flag("-q,--quiet", flags->quiet, "says nothing; its log has it all");
  start->callback([flags, &exit_code] { exit_code = start_agent(*flags); });

  CLI::App* list = command->add_subcommand("list", "Shows the agents that the master knows");
  auto output = std::make_shared<std::string>("text");
  list->add_option("--output", *output, "text or json")->check(CLI::IsMember({"text", "json"}))->type_name("KIND");
  list->callback([output, &exit_code] { exit_code = list_agents(*output); });

  auto name = std::make_shared<std::string>();
  const auto with_name = [&](const char* word, const char* about) {
    CLI::App* sub = command->add_subcommand(word, about);
    sub->add_option("name", *name, "the agent")->required()->type_name("NAME");
    return sub;
  };
  with_name("drain", "Lets an agent finish what it runs and leave")->callback([name, &exit_code] {
    exit_code = command_agent(AgentCommand::Kind::kDrain, *name);
  });
  with_name("remove", "Forgets the name of an agent that is gone")->callback([name, &exit_code] {
    exit_code = command_agent(AgentCommand::Kind::kRemove, *name);
  });
  CLI::App* logs = with_name("logs", "Shows what an agent of this machine said");
  auto lines = std::make_shared<int>(100);
  logs->add_option("-n,--lines", *lines, "how many of the last ones")->check(CLI::PositiveNumber)->type_name("N");
  logs->callback([name, lines, &exit_code] { exit_code = show_log(*name, *lines); });
  CLI::App* exec = with_name("exec", "Runs one command on an agent");
  auto words = std::make_shared<std::vector<std::string>>();
  exec->add_option("command", *words, "after --: a line for the shell, or a command and its arguments")
      ->required()
      ->type_name("COMMAND...");
  exec->callback([name, words, &exit_code] { exit_code = exec_on_agent(*name, *words); });
}

}  // namespace sloth
