// Conditions and handlers: what runs on the operator's side of a task.

#include "tests/unit/engine/engine_fixture.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using Lines = std::vector<std::string>;

OperatorAnswer no(std::string message = "") { return {false, std::move(message)}; }
OperatorAnswer yes(std::string message = "") { return {true, std::move(message)}; }

TEST_CASE("run_if decides whether a task runs, skipped ones say why") {
  EngineFixture fixture;
  TaskSpec& spec = fixture.add("deploy");
  spec.run_if = plan_function();
  spec.finally_action = plan_function();
  const std::string question = "run_if of task \"deploy\"";
  SECTION("yes") {
    fixture.operators.answers.emplace(question, yes());
    CHECK(outcome_of(fixture.run(), "deploy").succeeded());
  }
  SECTION("no, with a reason") {
    fixture.operators.answers.emplace(question, no("not on main"));
    const RunReport report = fixture.run();
    CHECK(outcome_of(report, "deploy").message == "skipped (not on main)");
    CHECK(report.exit_code() == 0);
    CHECK(fixture.operators.asked() == Lines{question});
    CHECK(fixture.sink.lines() == Lines{"skip deploy"});
  }
  SECTION("nothing returned means no") {
    CHECK(outcome_of(fixture.run(), "deploy").kind == OutcomeKind::kSkipped);
  }
  SECTION("an error fails the task") {
    fixture.operators.answers.emplace(question, Error{Code::kInvalid, "run_if of task \"deploy\": boom"});
    const RunReport report = fixture.run();
    CHECK(outcome_of(report, "deploy").kind == OutcomeKind::kFailed);
    CHECK(outcome_of(report, "deploy").attempts == 0);
    CHECK(report.exit_code() == 1);
  }
}

TEST_CASE("dependents of a task that run_if skipped are skipped too") {
  EngineFixture fixture;
  fixture.add("deploy").run_if = plan_function();
  fixture.add("notify", {"deploy"});
  const RunReport report = fixture.run();
  CHECK(outcome_of(report, "notify").message == "skipped (depends on deploy, which was skipped)");
}

TEST_CASE("abort_if fails the run before the task starts, also with keep_going") {
  EngineFixture fixture;
  fixture.options.keep_going = true;
  fixture.add("deploy").abort_if = plan_function();
  fixture.add("other");
  fixture.operators.answers.emplace("abort_if of task \"deploy\"", yes("freeze"));
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 1);
  CHECK(outcome_of(report, "deploy").kind == OutcomeKind::kAborted);
  CHECK(outcome_of(report, "deploy").message == "aborted: freeze");
  CHECK(outcome_of(report, "other").kind == OutcomeKind::kCancelled);
  CHECK(fixture.runner.started().empty());
}

TEST_CASE("handlers are told how the task ended") {
  EngineFixture fixture;
  TaskSpec& spec = fixture.add("deploy");
  spec.on_success = plan_function();
  spec.on_failure = plan_function();
  spec.finally_action = plan_function();
  SECTION("success") {
    Outcome outcome;
    outcome.outputs = Value::Map{{"url", "x"}};
    fixture.runner.behave("deploy", {.outcomes = {outcome}});
    fixture.run();
    CHECK(fixture.operators.asked() == Lines{"on_success of task \"deploy\"", "finally of task \"deploy\""});
    const auto calls = fixture.operators.calls();
    CHECK(calls[0].arguments.at(1) == outcome.outputs);
    CHECK(*calls[1].arguments.at(1).get("success") == Value(true));
    CHECK(calls[0].self->name == "deploy");
    CHECK(calls[0].self->workdir == "/project");
  }
  SECTION("failure, once after the last attempt") {
    spec.retries = {.extra_attempts = 1, .delay = std::chrono::milliseconds(1)};
    fixture.runner.behave("deploy", {.outcomes = {mock_failure("boom")}});
    fixture.run();
    CHECK(fixture.operators.asked() == Lines{"on_failure of task \"deploy\"", "finally of task \"deploy\""});
    const auto calls = fixture.operators.calls();
    CHECK(calls[0].arguments.at(1) == Value(Value::Map{{"error", "boom"}, {"task_name", "deploy"}}));
    CHECK(*calls[1].arguments.at(1).get("attempts") == Value(2));
    CHECK(*calls[1].arguments.at(1).get("error") == Value("boom"));
  }
  SECTION("a timeout is a failure") {
    fixture.runner.behave("deploy", {.outcomes = {mock_failure("late", OutcomeKind::kTimedOut)}});
    fixture.run();
    CHECK(fixture.operators.asked().front() == "on_failure of task \"deploy\"");
  }
  SECTION("unless on_timeout wants it") {
    spec.on_timeout = plan_function();
    fixture.runner.behave("deploy", {.outcomes = {mock_failure("late", OutcomeKind::kTimedOut)}});
    fixture.run();
    CHECK(fixture.operators.asked() == Lines{"on_timeout of task \"deploy\"", "finally of task \"deploy\""});
  }
}

TEST_CASE("an error in a handler is a second error and the outcome keeps the first") {
  EngineFixture fixture;
  fixture.add("deploy").on_failure = plan_function();
  fixture.runner.behave("deploy", {.outcomes = {mock_failure("first")}});
  fixture.operators.answers.emplace("on_failure of task \"deploy\"", Error{Code::kInvalid, "second"});
  const RunReport report = fixture.run();
  CHECK(outcome_of(report, "deploy").message == "first");
  CHECK(report.handler_errors == Lines{"second"});
  CHECK(fixture.sink.lines() == Lines{"start deploy", "log deploy", "end deploy failed"});
}

TEST_CASE("an error in on_success is told and the task stays successful") {
  EngineFixture fixture;
  fixture.add("deploy").on_success = plan_function();
  fixture.operators.answers.emplace("on_success of task \"deploy\"", Error{Code::kInvalid, "oops"});
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 0);
  CHECK(report.handler_errors == Lines{"oops"});
}

}  // namespace
}  // namespace sloth
