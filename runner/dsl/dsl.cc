#include "runner/dsl/dsl.h"

#include <fmt/format.h>

#include <utility>

#include "runner/dsl/check_task.h"
#include "runner/dsl/check_workflow.h"
#include "runner/dsl/declarations.h"
#include "runner/dsl/names.h"
#include "runner/dsl/plan_functions.h"
#include "runner/dsl/problems.h"
#include "runner/dsl/recording.h"
#include "runner/dsl/source_text.h"
#include "runner/task/dependency_graph.h"

namespace sloth {
namespace {

void set_store(AttemptAction& action, const std::shared_ptr<const PortableStore>& store) {
  if (auto* const function = std::get_if<PortableFunction>(&action)) function->store = store;
}

void set_store(std::optional<AttemptAction>& action, const std::shared_ptr<const PortableStore>& store) {
  if (action) set_store(*action, store);
}

}  // namespace

class Dsl::Impl {
 public:
  explicit Impl(Vm& vm) : vm_(vm), recording_(vm), plan_functions_(vm.state()) {}

  Result<void> push_loader(lua_State* L, const std::string& file, std::string_view text) {
    auto source = SourceText::read(file, text);
    if (!source) return source.error();
    const auto kept = sources_.insert_or_assign(file, std::move(*source)).first;
    auto loaded = vm_.load(L, "@" + file, kept->second.text());
    if (loaded) return {};
    Error error = loaded.error();
    if (const std::string lines = excerpt(place_of(error.message)); !lines.empty())
      error.message += "\n" + lines;
    return error;
  }

  Result<Workflow> finish(lua_State* L, const std::string& file, const std::string& directory) {
    Problems problems;
    take_imported_texts();
    const Place definitions{file, line_of_definitions(file)};
    if (auto closed = recording_.close(L); !closed) problems.add(definitions, closed.error().message);
    std::vector<Record> records = recording_.read(L);
    for (Record& record : records) put_definition(record, definitions);
    const Declarations declared = settle(std::move(records), sources_, problems);
    PortableMaker portable(vm_);
    SharedVariables shared(vm_);
    const CheckContext context{L, recording_, declared, problems, plan_functions_, portable, shared};

    Workflow workflow;
    workflow.file = file;
    workflow.directory = directory;
    workflow.warnings = declared.warnings;
    std::vector<CheckedWorkflow> checked_workflows(declared.records.size());
    for (const int number : declared.workflows) {
      CheckedWorkflow& checked = checked_workflows[static_cast<std::size_t>(number) - 1];
      checked = check_workflow(context, declared.record(number));
      workflow.groups.push_back(checked.group);
    }
    for (const int number : declared.tasks) {
      CheckedTask checked = check_task(context, declared.record(number));
      const int owner = declared.workflow_of[static_cast<std::size_t>(number) - 1];
      if (owner != 0) apply_defaults(checked_workflows[static_cast<std::size_t>(owner) - 1], checked);
      workflow.tasks.push_back(std::move(checked.spec));
    }
    for (const CheckedWorkflow& checked : checked_workflows) warn_of_idle_strategy(checked, workflow);
    for (GraphProblem& problem : DependencyGraph::problems(workflow)) {
      problems.add(problem.place, std::move(problem.message));
    }
    if (!problems.empty()) return problems.error([this](const Place& place) { return excerpt(place); });

    for (std::string& warning : shared.warnings()) workflow.warnings.push_back(std::move(warning));
    const auto store = portable.finish();
    for (TaskSpec& task : workflow.tasks) {
      set_store(task.command, store);
      set_store(task.pre_hook, store);
      set_store(task.post_hook, store);
    }
    return workflow;
  }

  void push_plan_function(lua_State* L, PlanFunction function) const { plan_functions_.push(L, function); }

  [[nodiscard]] std::string excerpt(const Place& place) const {
    const auto source = sources_.find(place.file);
    return source == sources_.end() ? "" : source->second.excerpt(place.line);
  }

 private:
  // Files that the file required or imported may declare tasks too.
  void take_imported_texts() {
    for (const auto& chunk : vm_.texts()) {
      if (!chunk->name.starts_with('@')) continue;
      const std::string file = chunk->name.substr(1);
      if (sources_.count(file) > 0) continue;
      if (auto source = SourceText::read(file, chunk->text)) sources_.emplace(file, std::move(*source));
    }
  }

  static void warn_of_idle_strategy(const CheckedWorkflow& checked, Workflow& workflow) {
    if (!checked.strategy) return;
    for (const TaskSpec& task : workflow.tasks) {
      if (task.workflow == checked.group.name && task.retries.extra_attempts > 0) return;
    }
    workflow.warnings.push_back(fmt::format(
        "{}: workflow {}: config.retry_policy has no effect: none of its tasks is tried again; add retries",
        checked.group.place.text(), quoted(checked.group.name)));
  }

  [[nodiscard]] int line_of_definitions(const std::string& file) const {
    const auto source = sources_.find(file);
    return source == sources_.end() ? 0 : source->second.declared_at("TaskDefinitions", 0);
  }

  // TaskDefinitions is read after the file ran, so its parts have no place of their own.
  static void put_definition(Record& record, const Place& definitions) {
    if (!record.place.file.empty()) return;
    record.place = definitions;
    for (Setting& setting : record.settings) setting.place = definitions;
  }

  // Of "tasks.lua:3: '=' expected near 'x'".
  static Place place_of(const std::string& message) {
    return place_from(message.substr(0, message.find(": ")));
  }

  Vm& vm_;
  Recording recording_;
  PlanFunctions plan_functions_;
  Sources sources_;
};

Dsl::Dsl(Vm& vm) : impl_(std::make_unique<Impl>(vm)) {}
Dsl::~Dsl() = default;

Result<void> Dsl::push_loader(lua_State* L, const std::string& file, std::string_view text) {
  return impl_->push_loader(L, file, text);
}

Result<Workflow> Dsl::finish(lua_State* L, const std::string& file, const std::string& directory) {
  return impl_->finish(L, file, directory);
}

void Dsl::push_plan_function(lua_State* L, PlanFunction function) { impl_->push_plan_function(L, function); }

std::string Dsl::excerpt(const Place& place) const { return impl_->excerpt(place); }

}  // namespace sloth
