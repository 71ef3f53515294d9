#include "tests/unit/engine/engine_fixture.h"

#include <catch2/catch.hpp>

namespace sloth {

std::vector<std::string> EventCollector::lines() {
  std::vector<std::string> lines;
  for (const Event& event : events()) {
    if (event.task.empty()) continue;
    if (std::get_if<TaskStarted>(&event.body) != nullptr) lines.push_back("start " + event.task);
    if (const auto* end = std::get_if<TaskEnded>(&event.body)) {
      lines.push_back("end " + event.task + " " + outcome_name(end->outcome.kind));
    }
    if (std::get_if<TaskSkipped>(&event.body) != nullptr) lines.push_back("skip " + event.task);
    if (std::get_if<TaskRetry>(&event.body) != nullptr) lines.push_back("retry " + event.task);
    if (std::get_if<TaskLog>(&event.body) != nullptr) lines.push_back("log " + event.task);
  }
  return lines;
}

EngineFixture::EngineFixture() {
  workflow->file = "tasks.lua";
  workflow->directory = "/project";
  options.run = "r1";
  options.jobs = 1;
}

TaskSpec& EngineFixture::add(const std::string& name, std::vector<std::string> needs) {
  TaskSpec spec;
  spec.name = name;
  spec.place = Place{"tasks.lua", static_cast<int>(workflow->tasks.size()) + 1};
  spec.depends_on = std::move(needs);
  workflow->tasks.push_back(std::move(spec));
  return workflow->tasks.back();
}

WorkflowGroup& EngineFixture::add_group(const std::string& name, std::vector<std::string> tasks) {
  WorkflowGroup group;
  group.name = name;
  group.place = Place{"tasks.lua", 100};
  group.tasks = std::move(tasks);
  workflow->groups.push_back(std::move(group));
  options.groups.push_back(workflow->groups.size() - 1);
  return workflow->groups.back();
}

std::future<RunReport> EngineFixture::start(const std::vector<std::string>& targets) {
  auto plan = Plan::build(*workflow, targets);
  REQUIRE(plan.ok());
  auto promise = std::make_shared<std::promise<RunReport>>();
  auto future = promise->get_future();
  engine.run(workflow, std::move(*plan), options, stop.get_token(),
             [promise](RunReport report) { promise->set_value(std::move(report)); });
  return future;
}

const Outcome& outcome_of(const RunReport& report, const std::string& task) {
  const Outcome* found = nullptr;
  for (const auto& [name, outcome] : report.outcomes) {
    if (name == task) found = &outcome;
  }
  INFO("outcome of " << task);
  REQUIRE(found != nullptr);
  return *found;
}

PlanAction plan_function() { return PlanFunction{1}; }

}  // namespace sloth
