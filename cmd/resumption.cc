#include "cmd/resumption.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cmd/past_runs.h"
#include "runner/base/json.h"

namespace sloth {
namespace {

Value as_value(const RunCommand& command) {
  return Value::Map{{"directory", command.directory},
                    {"words", Value::List(command.words.begin(), command.words.end())}};
}

Outcome success_of(const TaskRecord& record) {
  Outcome outcome;
  outcome.message = record.message;
  outcome.attempts = record.attempts;
  outcome.elapsed = std::chrono::milliseconds(record.elapsed_ms);
  if (record.outputs) outcome.outputs = *record.outputs;
  return outcome;
}

}  // namespace

std::string encode_command(const RunCommand& command) {
  const Value value = as_value(command);
  std::string text = to_json(value);
  const auto back = from_json(text);
  return back && *back == value ? text : "";
}

Result<RunCommand> decode_command(const RunRecord& run) {
  const auto value = from_json(run.command);
  RunCommand command;
  if (value && value->is_map()) {
    for (const auto& [key, part] : value->as_map()) {
      if (part.is_string()) command.directory = part.as_string();
      if (!part.is_list()) continue;
      for (const Value& word : part.as_list()) {
        if (word.is_string()) command.words.push_back(word.as_string());
      }
    }
  }
  if (!command.directory.empty()) return command;
  return Error{Code::kInvalid,
               fmt::format("how run {} was started is not recorded (an older version did so); run {} again, "
                           "or: sloth runs attach {}",
                           run.id, run.file, run.id)};
}

Result<Resumption> Resumption::of(const Config& config, const std::string& id) {
  auto log = open_past_runs(config);
  if (!log) return log.error();
  auto run = find_run(**log, id);
  if (!run) return run.error();
  if (is_running(*run)) {
    return Error{Code::kInvalid,
                 fmt::format("run {} is still running (pid {}); to see what it has on agents: sloth "
                             "runs attach {}",
                             run->id, run->pid, run->id)};
  }
  auto tasks = (*log)->tasks(run->id);
  if (!tasks) return tasks.error();
  return Resumption{std::move(*run), std::move(*tasks)};
}

ResumedTasks resume_tasks(const std::vector<TaskRecord>& records, const Workflow& workflow, const Plan& plan,
                          bool local) {
  std::set<std::string> wanted;
  std::set<std::string> needed;
  for (const std::string& name : plan.order()) {
    wanted.insert(name);
    const std::vector<std::string>& needs = workflow.find(name)->depends_on;
    needed.insert(needs.begin(), needs.end());
  }
  ResumedTasks resumed;
  for (const TaskRecord& record : records) {
    if (wanted.count(record.task) == 0) continue;
    const bool delegated = !local && !workflow.find(record.task)->delegate_to.empty();
    const bool succeeded = record.outcome == outcome_name(OutcomeKind::kSucceeded);
    if (succeeded && (record.outputs || needed.count(record.task) == 0)) {
      Outcome outcome = success_of(record);
      if (delegated && workflow.find(record.task)->delegate_to.size() == 1) outcome.agent = record.agent;
      resumed.ended.emplace(record.task, std::move(outcome));
      continue;
    }
    if (succeeded && !delegated) resumed.forgotten.push_back(record.task);
    const bool under_way = record.outcome.empty() && record.attempts > 0;
    if (under_way && !delegated) resumed.broken_off.emplace_back(record.task, record.attempts);
    resumed.first_attempt[record.task] = under_way && delegated ? record.attempts : record.attempts + 1;
  }
  return resumed;
}

}  // namespace sloth
