#include "runner/engine/engine.h"

#include <thread>

#include "tests/unit/engine/engine_fixture.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using std::chrono::milliseconds;
using Lines = std::vector<std::string>;

// Until that many lines have been told; ten seconds at most.
void wait_for_lines(EngineFixture& fixture, std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (fixture.sink.lines().size() < count) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
}

TEST_CASE("tasks run in the order of the file, dependencies first") {
  EngineFixture fixture;
  fixture.add("deploy", {"build"});
  fixture.add("build");
  fixture.add("lint");
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 0);
  CHECK(fixture.runner.started() == Lines{"build", "lint", "deploy"});
  CHECK(report.counts().succeeded == 3);
  CHECK(fixture.sink.lines() == Lines{"start build", "end build succeeded", "start lint",
                                      "end lint succeeded", "start deploy", "end deploy succeeded"});
}

TEST_CASE("the run's own events frame the others") {
  EngineFixture fixture;
  fixture.add("a");
  fixture.options.local_forced = true;
  fixture.run();
  const auto events = fixture.sink.events();
  const auto& begin = std::get<RunStarted>(events.front().body);
  CHECK(begin.file == "tasks.lua");
  CHECK(begin.tasks == 1);
  CHECK(begin.jobs == 1);
  CHECK(begin.local_forced);
  const auto& end = std::get<RunEnded>(events.back().body);
  CHECK(end.exit_code == 0);
  CHECK(end.succeeded == 1);
  CHECK(events[1].run == "r1");
  CHECK(events[1].attempt == 1);
}

TEST_CASE("an empty plan ends at once") {
  EngineFixture fixture;
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 0);
  CHECK(report.outcomes.empty());
}

TEST_CASE("no more than the allowed number of tasks run at once") {
  EngineFixture fixture;
  fixture.options.jobs = 3;
  for (int i = 0; i < 12; ++i) {
    fixture.add("t" + std::to_string(i));
    fixture.runner.behave("t" + std::to_string(i), {.takes = milliseconds(3)});
  }
  fixture.run();
  CHECK(fixture.runner.peak() == 3);
}

TEST_CASE("a task gets params with the run's over its own, outputs of its dependencies and its workdir") {
  EngineFixture fixture;
  fixture.add("build");
  Outcome built;
  built.outputs = Value::Map{{"version", "1.2"}};
  fixture.runner.behave("build", {.outcomes = {built}});
  TaskSpec& deploy = fixture.add("deploy", {"build"});
  deploy.params = Value::Map{{"target", "staging"}, {"color", "blue"}};
  deploy.workdir = "sub/../out";
  fixture.options.params = Value::Map{{"target", "production"}};
  fixture.options.values = Value::Map{{"x", 1}};
  fixture.run();
  const TaskRequest request = fixture.runner.requests().at(1);
  CHECK(request.params == Value::Map{{"target", "production"},
                                     {"color", "blue"},
                                     {"task_name", "deploy"},
                                     {"workdir", "/project/out"}});
  CHECK(request.deps == Value::Map{{"build", Value::Map{{"version", "1.2"}}}});
  CHECK(request.workdir == "/project/out");
  CHECK(request.values == Value(Value::Map{{"x", 1}}));
  CHECK(fixture.runner.requests().at(0).workdir == "/project");
}

TEST_CASE("after a failure nothing starts, dependents are skipped and the rest is listed") {
  EngineFixture fixture;
  fixture.add("build");
  fixture.add("deploy", {"build"});
  fixture.add("notify", {"deploy"});
  fixture.add("lint");
  fixture.runner.behave("build", {.outcomes = {mock_failure("no compiler")}});
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 1);
  CHECK(outcome_of(report, "build").message == "no compiler");
  CHECK(outcome_of(report, "deploy").message == "skipped (build failed)");
  CHECK(outcome_of(report, "notify").kind == OutcomeKind::kSkipped);
  CHECK(outcome_of(report, "lint").kind == OutcomeKind::kSkipped);
  CHECK(outcome_of(report, "lint").message == "not started (build failed; --keep-going goes on)");
  CHECK(report.counts().skipped == 3);
}

TEST_CASE("what runs when another task fails goes on to its end") {
  EngineFixture fixture;
  fixture.options.jobs = 2;
  fixture.add("slow");
  fixture.add("broken");
  fixture.add("later", {"slow"});
  fixture.runner.behave("slow", {.holds = true});
  fixture.runner.behave("broken", {.outcomes = {mock_failure("x")}});
  auto report = fixture.start();
  wait_for_lines(fixture, 4);  // two starts, an end, a skip
  fixture.runner.release("slow");
  const RunReport done = report.get();
  CHECK(outcome_of(done, "slow").succeeded());
  CHECK(outcome_of(done, "later").kind == OutcomeKind::kSkipped);
}

TEST_CASE("with keep_going everything that does not depend on a failure runs") {
  EngineFixture fixture;
  fixture.options.keep_going = true;
  fixture.add("build");
  fixture.add("deploy", {"build"});
  fixture.add("lint");
  fixture.runner.behave("build", {.outcomes = {mock_failure("x")}});
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 1);
  CHECK(outcome_of(report, "deploy").kind == OutcomeKind::kSkipped);
  CHECK(outcome_of(report, "lint").succeeded());
}

TEST_CASE("a failed attempt is repeated as often as allowed") {
  EngineFixture fixture;
  TaskSpec& spec = fixture.add("flaky");
  spec.retries = {.extra_attempts = 2, .strategy = RetryPolicy::Strategy::kFixed, .delay = milliseconds(1)};
  SECTION("and succeeds in the end") {
    fixture.runner.behave(
        "flaky", {.outcomes = {mock_failure("1"), mock_failure("2", OutcomeKind::kTimedOut), Outcome{}}});
    const RunReport report = fixture.run();
    CHECK(report.exit_code() == 0);
    CHECK(outcome_of(report, "flaky").attempts == 3);
    CHECK(fixture.sink.lines() == Lines{"start flaky", "retry flaky", "start flaky", "retry flaky",
                                        "start flaky", "end flaky succeeded"});
    CHECK(fixture.runner.requests().at(2).attempt == 3);
  }
  SECTION("and fails with the last message") {
    fixture.runner.behave("flaky", {.outcomes = {mock_failure("1"), mock_failure("2"), mock_failure("3")}});
    const RunReport report = fixture.run();
    CHECK(outcome_of(report, "flaky").message == "3");
    CHECK(fixture.runner.started().size() == 3);
  }
}

TEST_CASE("an attempt whose end is unknown is repeated only when its task says that this does no harm") {
  EngineFixture fixture;
  const auto unknown = mock_failure("lost", OutcomeKind::kUnknown);
  fixture.add("careful").retries.extra_attempts = 3;
  fixture.runner.behave("careful", {.outcomes = {unknown, {}}});
  TaskSpec& harmless = fixture.add("harmless");
  harmless.idempotent = true;
  harmless.retries.delay = milliseconds(1);
  fixture.runner.behave("harmless", {.outcomes = {unknown, {}}});
  fixture.options.keep_going = true;
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 3);
  CHECK(fixture.runner.started() == Lines{"careful", "harmless", "harmless"});
}

TEST_CASE("a stop request cancels what runs, lets nothing start and gives 130") {
  EngineFixture fixture;
  fixture.add("server").finally_action = plan_function();
  fixture.add("next");
  fixture.runner.behave("server", {.holds = true});
  auto report = fixture.start();
  REQUIRE(fixture.runner.wait_for_starts(1));
  fixture.stop.request_stop();
  const RunReport done = report.get();
  CHECK(done.exit_code() == 130);
  CHECK(outcome_of(done, "server").kind == OutcomeKind::kCancelled);
  CHECK(outcome_of(done, "next").kind == OutcomeKind::kCancelled);
  CHECK(outcome_of(done, "next").attempts == 0);
  CHECK(fixture.operators.asked() == Lines{"finally of task \"server\""});
  CHECK(done.counts().cancelled == 2);
}

TEST_CASE("a stop request cuts a pause between attempts short") {
  EngineFixture fixture;
  TaskSpec& spec = fixture.add("flaky");
  spec.retries = {.extra_attempts = 1, .delay = std::chrono::hours(1), .max_delay = std::chrono::hours(1)};
  fixture.runner.behave("flaky", {.outcomes = {mock_failure("x")}});
  auto report = fixture.start();
  wait_for_lines(fixture, 2);  // start, retry
  fixture.stop.request_stop();
  const RunReport done = report.get();
  CHECK(outcome_of(done, "flaky").kind == OutcomeKind::kCancelled);
  CHECK(fixture.runner.started().size() == 1);
}

TEST_CASE("a stop request before the start leaves nothing running") {
  EngineFixture fixture;
  fixture.add("a");
  fixture.runner.behave("a", {.holds = true});
  fixture.stop.request_stop();
  CHECK(fixture.run().exit_code() == 130);
}

TEST_CASE("the run's own timeout cancels and gives 124") {
  EngineFixture fixture;
  fixture.options.timeout = milliseconds(20);
  fixture.add("a");
  fixture.runner.behave("a", {.holds = true});
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 124);
  CHECK(outcome_of(report, "a").message == "the run timed out after 20ms");
}

TEST_CASE("an unknown outcome gives 3, before a failure's 1") {
  EngineFixture fixture;
  fixture.options.keep_going = true;
  fixture.add("a");
  fixture.add("b");
  fixture.runner.behave("a", {.outcomes = {mock_failure("x")}});
  fixture.runner.behave("b", {.outcomes = {mock_failure("link lost", OutcomeKind::kUnknown)}});
  CHECK(fixture.run().exit_code() == 3);
}

TEST_CASE("a file of ten thousand tasks runs to its end") {
  EngineFixture fixture;
  fixture.options.jobs = 4;
  for (int i = 0; i < 10000; ++i) fixture.add("t" + std::to_string(i));
  const RunReport report = fixture.run();
  CHECK(report.counts().succeeded == 10000);
}

}  // namespace
}  // namespace sloth
