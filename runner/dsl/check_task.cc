#include "runner/dsl/check_task.h"

#include <algorithm>
#include <utility>

#include "runner/dsl/check_setting.h"
#include "runner/dsl/setting_reader.h"

namespace sloth {
namespace {

class TaskCheck {
 public:
  TaskCheck(const CheckContext& context, const Record& record) : context_(context), record_(record) {
    spec_.name = record.name;
    spec_.place = record.place;
    const int workflow = context.declarations.workflow_of[static_cast<std::size_t>(record.number) - 1];
    if (workflow != 0) spec_.workflow = context.declarations.record(workflow).name;
  }

  CheckedTask run() {
    SaidWords said;
    bool all_understood = true;
    for (const Setting& setting : record_.settings) {
      const std::string word = check_setting(context_.problems, record_, setting, said);
      if (!word.empty()) read(word, setting);
      // Perhaps a misspelt command: one problem is enough.
      all_understood = all_understood && (!word.empty() || setting.issue == Setting::Issue::kLate);
    }
    if (all_understood && said.count("command") == 0 && said.count("depends_on") == 0) {
      context_.problems.add(
          record_.place, subject(record_) + " has no command",
          "add a command (a function or a shell string), or depends_on to gather other tasks");
    }
    CheckedTask checked{std::move(spec_), {}, has_retry_strategy_};
    for (const auto& [word, place] : said) checked.said.insert(word);
    return checked;
  }

 private:
  void read(const std::string& word, const Setting& setting) {
    SettingReader reader(context_.L, context_.recording, context_.declarations, context_.problems,
                         subject(record_), setting);
    if (word == "description") take(reader.text(), spec_.description);
    if (word == "command") action(reader, spec_.command);
    if (word == "depends_on") depend(reader.dependencies());
    if (word == "params") take(reader.params(), spec_.params);
    if (word == "timeout") take(reader.duration(), spec_.timeout);
    if (word == "retries") retry(reader.retries());
    if (word == "delegate_to") take(reader.agents(), spec_.delegate_to);
    if (word == "user") take(reader.user(), spec_.user);
    if (word == "idempotent") spec_.idempotent = reader.nothing() || spec_.idempotent;
    if (word == "lost_after") take(reader.duration(), spec_.lost_after);
    if (word == "workdir") take(reader.path(), spec_.workdir);
    if (word == "env") take(reader.environment(), spec_.env);
    if (word == "run_if") condition(reader, spec_.run_if);
    if (word == "abort_if") condition(reader, spec_.abort_if);
    if (word == "pre_hook") hook(reader, spec_.pre_hook);
    if (word == "post_hook") hook(reader, spec_.post_hook);
    if (word == "on_success") handler(reader, spec_.on_success);
    if (word == "on_failure") handler(reader, spec_.on_failure);
    if (word == "on_timeout") handler(reader, spec_.on_timeout);
    if (word == "finally") handler(reader, spec_.finally_action);
  }

  template <class Read, class Field>
  static void take(std::optional<Read> value, Field& field) {
    if (value) field = std::move(*value);
  }

  void retry(const std::optional<SettingReader::Retries>& retries) {
    if (!retries) return;
    spec_.retries = retries->policy;
    has_retry_strategy_ = retries->has_strategy;
  }

  void depend(const std::optional<std::vector<std::string>>& names) {
    std::vector<std::string>& all = spec_.depends_on;
    for (const std::string& name : names.value_or(std::vector<std::string>())) {
      if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
    }
  }

  void send(SettingReader& reader, AttemptAction& action) {
    const auto object = context_.portable.add(context_.L, reader.argument(), subject(record_));
    if (!object) {
      reader.problem_as_told(object.error().message);
      return;
    }
    action = PortableFunction{nullptr, *object};
    context_.shared.add(context_.L, reader.argument(), record_.number, subject(record_));
  }

  PlanFunction keep(const SettingReader& reader) {
    context_.shared.add(context_.L, reader.argument(), kPlanVm, reader.key() + " of " + subject(record_));
    return context_.plan_functions.keep(context_.L, reader.argument());
  }

  void action(SettingReader& reader, AttemptAction& action) {
    if (reader.is_function()) {
      send(reader, action);
    } else if (auto command = reader.command()) {
      action = ShellCommand{std::move(*command)};
    }
  }

  void hook(SettingReader& reader, std::optional<AttemptAction>& action) {
    if (reader.function()) send(reader, action.emplace());
  }

  void condition(SettingReader& reader, std::optional<PlanAction>& action) {
    if (reader.is_function()) {
      action = keep(reader);
    } else if (auto command = reader.command()) {
      action = ShellCommand{std::move(*command)};
    }
  }

  void handler(SettingReader& reader, std::optional<PlanAction>& action) {
    if (reader.function()) action = keep(reader);
  }

  const CheckContext& context_;
  const Record& record_;
  TaskSpec spec_;
  bool has_retry_strategy_ = false;
};

}  // namespace

CheckedTask check_task(const CheckContext& context, const Record& record) {
  return TaskCheck(context, record).run();
}

}  // namespace sloth
