// Workflows of a file: one after the other, with their limits and their hooks.

#include "tests/unit/engine/engine_fixture.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using std::chrono::milliseconds;
using Lines = std::vector<std::string>;

TEST_CASE("workflows run one after the other in the order of the file") {
  EngineFixture fixture;
  fixture.options.jobs = 4;
  for (const char* name : {"a1", "a2", "b1", "b2"}) {
    fixture.add(name);
    fixture.runner.behave(name, {.takes = milliseconds(2)});
  }
  fixture.add_group("a", {"a1", "a2"}).on_complete = PlanFunction{1};
  fixture.add_group("b", {"b1", "b2"}).on_start = PlanFunction{2};
  std::vector<std::size_t> started_at_call;
  fixture.operators.on_call = [&](const OperatorCall&) {
    started_at_call.push_back(fixture.runner.started().size());
  };
  CHECK(fixture.run().exit_code() == 0);
  CHECK(fixture.operators.asked() == Lines{"on_complete of workflow \"a\"", "on_start of workflow \"b\""});
  CHECK(started_at_call == std::vector<std::size_t>{2, 2});
  CHECK(fixture.runner.started() == Lines{"a1", "a2", "b1", "b2"});
}

TEST_CASE("max_parallel_tasks bounds a workflow below the run's own limit") {
  EngineFixture fixture;
  fixture.options.jobs = 8;
  Lines names;
  for (int i = 0; i < 10; ++i) {
    names.push_back("t" + std::to_string(i));
    fixture.add(names.back());
    fixture.runner.behave(names.back(), {.takes = milliseconds(2)});
  }
  fixture.add_group("g", names).max_parallel_tasks = 2;
  CHECK(fixture.run().counts().succeeded == 10);
  CHECK(fixture.runner.peak() == 2);
  CHECK(fixture.runner.started() == names);
}

TEST_CASE("an earlier workflow may need a task of a later one") {
  EngineFixture fixture;
  fixture.add("app", {"library"});
  fixture.add("library");
  fixture.add_group("first", {"app"});
  fixture.add_group("second", {"library"});
  CHECK(fixture.run().exit_code() == 0);
  CHECK(fixture.runner.started() == Lines{"library", "app"});
}

TEST_CASE("on_complete is told the success and the result of each task") {
  EngineFixture fixture;
  fixture.add("a");
  fixture.add("b");
  fixture.runner.behave("b", {.outcomes = {mock_failure("no")}});
  fixture.add_group("g", {"a", "b"}).on_complete = PlanFunction{1};
  CHECK(fixture.run().exit_code() == 1);
  const auto call = fixture.operators.calls().at(0);
  CHECK(call.arguments.at(0) == Value(false));
  CHECK(*call.arguments.at(1).get("a")->get("success") == Value(true));
  CHECK(*call.arguments.at(1).get("b")->get("message") == Value("no"));
}

TEST_CASE("a workflow whose on_start fails runs nothing") {
  EngineFixture fixture;
  fixture.add("a");
  fixture.add("b");
  fixture.add_group("g", {"a", "b"}).on_start = PlanFunction{1};
  SECTION("by an error") {
    fixture.operators.answers.emplace("on_start of workflow \"g\"", Error{Code::kInvalid, "boom"});
    CHECK(outcome_of(fixture.run(), "a").message == "boom");
  }
  SECTION("by returning false") {
    fixture.operators.answers.emplace("on_start of workflow \"g\"", OperatorAnswer{false, "closed"});
    CHECK(outcome_of(fixture.run(), "a").message == "on_start of workflow \"g\": closed");
  }
  CHECK(fixture.runner.started().empty());
}

TEST_CASE("config.timeout cancels the tasks of that workflow only") {
  EngineFixture fixture;
  fixture.options.jobs = 2;
  fixture.options.keep_going = true;
  fixture.add("stuck");
  fixture.add("behind", {"stuck"});
  fixture.add("other");
  fixture.runner.behave("stuck", {.holds = true});
  fixture.add_group("g", {"stuck", "behind"}).timeout = milliseconds(20);
  fixture.add_group("h", {"other"});
  const RunReport report = fixture.run();
  CHECK(report.exit_code() == 1);
  CHECK(outcome_of(report, "stuck").message == "workflow \"g\" timed out after 20ms");
  CHECK(outcome_of(report, "behind").kind == OutcomeKind::kSkipped);
  CHECK(outcome_of(report, "other").succeeded());
}

TEST_CASE("tasks asked for by name run without the hooks of their workflow") {
  EngineFixture fixture;
  fixture.add("a");
  fixture.add_group("g", {"a"}).on_start = PlanFunction{1};
  fixture.options.groups.clear();
  CHECK(fixture.run({"a"}).exit_code() == 0);
  CHECK(fixture.operators.asked().empty());
}

}  // namespace
}  // namespace sloth
