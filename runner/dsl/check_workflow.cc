#include "runner/dsl/check_workflow.h"

#include <fmt/format.h>

#include <utility>

#include "runner/dsl/check_setting.h"
#include "runner/dsl/setting_reader.h"
#include "runner/dsl/vocabulary.h"

namespace sloth {
namespace {

constexpr int kMostParallelTasks = 10000;

class WorkflowCheck {
 public:
  WorkflowCheck(const CheckContext& context, const Record& record) : context_(context), record_(record) {
    WorkflowGroup& group = result_.group;
    group.name = record.name;
    group.place = record.place;
    for (const int task : context.declarations.members[static_cast<std::size_t>(record.number) - 1]) {
      group.tasks.push_back(context.declarations.record(task).name);
    }
  }

  CheckedWorkflow run() {
    SaidWords said;
    for (const Setting& setting : record_.settings) {
      const std::string word = check_setting(context_.problems, record_, setting, said);
      if (!word.empty()) read(word, setting);
    }
    return std::move(result_);
  }

 private:
  void read(const std::string& word, const Setting& setting) {
    SettingReader reader(context_.L, context_.recording, context_.declarations, context_.problems,
                         subject(record_), setting);
    WorkflowGroup& group = result_.group;
    if (word == "description") take(reader.text(), group.description);
    if (word == "version") take(reader.text(), group.version);
    // The elements have been read with the declarations.
    if (word == "tasks") reader.table();
    if (word == "config" && reader.table()) config(reader);
    if (word == "on_start") handler(reader, group.on_start);
    if (word == "on_complete") handler(reader, group.on_complete);
    if (word == "delegate_to") take(reader.agents(), result_.delegate_to);
    if (word == "workdir") take(reader.path(), result_.workdir);
  }

  template <class Read, class Field>
  static void take(std::optional<Read> value, Field& field) {
    if (value) field = std::move(*value);
  }

  void handler(SettingReader& reader, std::optional<PlanFunction>& function) {
    if (!reader.function()) return;
    context_.shared.add(context_.L, reader.argument(), kPlanVm, reader.key() + " of " + subject(record_));
    function = context_.plan_functions.keep(context_.L, reader.argument());
  }

  void config(SettingReader& reader) {
    lua_State* L = context_.L;
    const int options = reader.argument();
    for (lua_pushnil(L); lua_next(L, options) != 0;) {
      const int value = lua_gettop(L);
      const std::string key = lua_type(L, -2) == LUA_TSTRING ? string_at(L, -2) : shown(L, -2);
      reader.narrow(key, value);
      config_value(reader, key);
      lua_settop(L, value - 1);
    }
  }

  void config_value(SettingReader& reader, const std::string& key) {
    if (key == "max_parallel_tasks") {
      result_.group.max_parallel_tasks = reader.whole_number(1, kMostParallelTasks);
    } else if (key == "timeout") {
      result_.group.timeout = reader.duration();
    } else if (key == "retries") {
      const auto retries = reader.retries();
      if (!retries) return;
      result_.extra_attempts = retries->policy.extra_attempts;
      if (retries->has_strategy) strategy(reader, retries->policy);
    } else if (key == "retry_policy") {
      if (RetryPolicy policy; reader.strategy(policy)) strategy(reader, policy);
    } else {
      reader.problem_as_told(
          fmt::format("{}: config: {}", subject(record_), Vocabulary::of_config().refusal(key)));
    }
  }

  void strategy(SettingReader& reader, const RetryPolicy& policy) {
    if (result_.strategy) {
      reader.problem_as_told(subject(record_) +
                             ": config: the retry strategy is given twice, in retries and in retry_policy");
    }
    result_.strategy = policy;
  }

  const CheckContext& context_;
  const Record& record_;
  CheckedWorkflow result_;
};

}  // namespace

CheckedWorkflow check_workflow(const CheckContext& context, const Record& record) {
  return WorkflowCheck(context, record).run();
}

void apply_defaults(const CheckedWorkflow& workflow, CheckedTask& task) {
  RetryPolicy& retries = task.spec.retries;
  if (workflow.extra_attempts && task.said.count("retries") == 0)
    retries.extra_attempts = *workflow.extra_attempts;
  if (workflow.strategy && !task.has_retry_strategy) {
    const int extra_attempts = retries.extra_attempts;
    retries = *workflow.strategy;
    retries.extra_attempts = extra_attempts;
  }
  if (task.said.count("delegate_to") == 0) task.spec.delegate_to = workflow.delegate_to;
  if (task.said.count("workdir") == 0) task.spec.workdir = workflow.workdir;
}

}  // namespace sloth
