// Runs that go on: tasks that ended before, and attempts whose numbers go on.
#include "runner/engine/lua_task_runner.h"
#include "tests/unit/engine/engine_fixture.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using Lines = std::vector<std::string>;

Outcome success(const std::string& message, Value outputs = Value::Map{}) {
  Outcome outcome;
  outcome.message = message;
  outcome.outputs = std::move(outputs);
  outcome.attempts = 2;
  return outcome;
}

std::vector<TaskEnded> ends_of(EngineFixture& fixture, const std::string& task) {
  std::vector<TaskEnded> ends;
  for (const Event& event : fixture.sink.events()) {
    const auto* end = std::get_if<TaskEnded>(&event.body);
    if (end != nullptr && event.task == task) ends.push_back(*end);
  }
  return ends;
}

TEST_CASE(
    "a task that ended before is not started, is told as such, and gives its outputs to those that depend on "
    "it") {
  EngineFixture fixture;
  fixture.add("build");
  fixture.add("test", {"build"});
  fixture.options.ended.emplace("build", success("built", Value::Map{{"n", 7}}));
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 0);
  CHECK(report.counts().succeeded == 2);
  CHECK(fixture.runner.started() == Lines{"test"});
  CHECK(fixture.runner.requests().front().deps == Value::Map{{"build", Value::Map{{"n", 7}}}});
  CHECK(fixture.sink.lines() == Lines{"end build succeeded", "start test", "end test succeeded"});
  const auto ends = ends_of(fixture, "build");
  REQUIRE(ends.size() == 1);
  CHECK(ends.front().before);
  CHECK(ends.front().outcome.message == "built");
  CHECK_FALSE(ends_of(fixture, "test").front().before);
}

TEST_CASE("a run that stops early calls off what was left, and nothing that ended before") {
  EngineFixture fixture;
  fixture.add("bad");
  fixture.add("done", {"bad"});
  fixture.add("later");
  fixture.add("free");
  fixture.runner.behave("bad", {.outcomes = {mock_failure("no")}});
  fixture.options.ended.emplace("done", success("built"));
  fixture.options.ended.emplace("free", success("built"));
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 1);
  CHECK(outcome_of(report, "done").succeeded());
  CHECK(outcome_of(report, "free").succeeded());
  CHECK(outcome_of(report, "later").kind == OutcomeKind::kSkipped);
  for (const char* task : {"done", "free"}) {
    const auto ends = ends_of(fixture, task);
    REQUIRE(ends.size() == 1);
    CHECK(ends.front().before);
  }
}

TEST_CASE("a workflow's end counts what ended before") {
  EngineFixture fixture;
  fixture.add("a");
  fixture.add("b");
  fixture.add_group("all", {"a", "b"}).on_complete = std::get<PlanFunction>(plan_function());
  fixture.options.ended.emplace("a", success("built"));
  CHECK(fixture.run().exit_code() == 0);
  const auto calls = fixture.operators.calls();
  REQUIRE(calls.size() == 1);
  CHECK(calls.front().arguments.front() == Value(true));
  CHECK(fixture.runner.started() == Lines{"b"});
}

TEST_CASE("attempts go on with their number, and the retries count from it") {
  EngineFixture fixture;
  fixture.add("build").retries.extra_attempts = 1;
  fixture.workflow->tasks.back().retries.delay = Duration::zero();
  fixture.runner.behave("build", {.outcomes = {mock_failure("no"), mock_failure("still no")}});
  fixture.options.first_attempt["build"] = 3;
  const RunReport report = fixture.run();
  CHECK(outcome_of(report, "build").kind == OutcomeKind::kFailed);
  CHECK(outcome_of(report, "build").attempts == 4);
  CHECK(outcome_of(report, "build").elapsed < std::chrono::seconds(60));
  std::vector<int> numbers;
  for (const TaskRequest& request : fixture.runner.requests()) numbers.push_back(request.attempt);
  CHECK(numbers == std::vector<int>{3, 4});
}

TEST_CASE("a task that had attempts before and gets none now has none") {
  EngineFixture fixture;
  fixture.add("build").run_if = plan_function();
  fixture.workflow->tasks.back().finally_action = plan_function();
  OperatorAnswer no;
  no.yes = false;
  fixture.operators.answers.emplace("run_if of task \"build\"", no);
  fixture.options.first_attempt["build"] = 3;
  const RunReport report = fixture.run();
  CHECK(outcome_of(report, "build").kind == OutcomeKind::kSkipped);
  CHECK(outcome_of(report, "build").attempts == 0);
  CHECK(outcome_of(report, "build").elapsed == Duration::zero());
  CHECK(fixture.operators.asked() == Lines{"run_if of task \"build\""});
}

TEST_CASE("the id of a local attempt is the same in every process, and no other's") {
  CHECK(local_attempt_id("r1", "build-all_2", 3) == "r1.build-all_2.3");
  CHECK(local_attempt_id("r1", "a/b", 1) == "r1.a%2Fb.1");
  CHECK(local_attempt_id("r1", "a.1", 1) != local_attempt_id("r1", "a", 1) + ".1");
}

}  // namespace
}  // namespace sloth
