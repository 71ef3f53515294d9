#include "cmd/delegation.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <memory>

#include "runner/base/nearest.h"
#include "runner/base/version.h"

namespace sloth {
namespace {

constexpr std::chrono::seconds kMasterWait{10};

}  // namespace

std::string master_directory(const Config& config) { return config.state_directory + "/master"; }
std::string agents_directory(const Config& config) {
  // Attempts of an agent that is root are other users, who may not pass through root's home.
  constexpr const char* kSystemState = "/var/lib/sloth";
  const bool system = ::geteuid() == 0 && std::getenv("XDG_STATE_HOME") == nullptr;
  return (system ? std::string(kSystemState) : config.state_directory) + "/agents";
}

LocalMaster::Options local_master_options(const Config& config) {
  LocalMaster::Options options;
  options.master.directory = master_directory(config);
  options.master.version = version();
  return options;
}

Delegation::Delegation(App& app, Duration queue)
    : master_(local_master_options(app.config()), app.executor(), app.clock()),
      client_({.run = app.run_id(), .version = version()}, master_, app.executor(), app.clock()),
      remote_(client_, app.clock(), {.queue = queue}) {}

Delegation::~Delegation() = default;

Result<void> Delegation::check(const Workflow& workflow, const Plan& plan) {
  const auto answer = ask_master(client_, ListAgents{}, kMasterWait);
  if (!answer) return answer.error();
  std::vector<std::string> known;
  for (const AgentInfo& agent : std::get<Agents>(*answer).agents) known.push_back(agent.name);
  std::string problems;
  std::string first;
  for (const std::string& name : plan.order()) {
    const TaskSpec& spec = *workflow.find(name);
    for (const std::string& agent : spec.delegate_to) {
      if (std::find(known.begin(), known.end(), agent) != known.end()) continue;
      problems += fmt::format("\n{}: task \"{}\": unknown agent \"{}\"{}", spec.place.text(), name, agent,
                              did_you_mean(agent, known));
      if (first.empty()) first = agent;
    }
  }
  if (problems.empty()) return {};
  return Error{
      Code::kInvalid,
      problems.substr(1) +
          fmt::format("\nno agent of that name has ever joined; start it: sloth agent start --name {}"
                      "\nor run everything on this machine with --local",
                      first)};
}

Result<void> Delegation::resume(const std::string& run) {
  const auto answer = ask_master(client_, ListAttempts{run}, kMasterWait);
  if (!answer) return answer.error();
  remote_.resume(std::get<RunAttempts>(*answer).attempts);
  return {};
}

TaskRunner& Delegation::runner_for(const TaskSpec& spec) {
  if (spec.delegate_to.empty()) return *local_;
  return remote_;
}

std::vector<std::string> Delegation::live() {
  std::vector<std::string> tasks;
  for (const auto& [id, task] : remote_.live()) {
    if (std::find(tasks.begin(), tasks.end(), task) == tasks.end()) tasks.push_back(task);
  }
  return tasks;
}

Result<Message> ask_master(RunClient& client, Message question, Duration wait) {
  auto promise = std::make_shared<std::promise<Result<Message>>>();
  client.ask(std::move(question), wait,
             [promise](Result<Message> answer) { promise->set_value(std::move(answer)); });
  return promise->get_future().get();
}

}  // namespace sloth
