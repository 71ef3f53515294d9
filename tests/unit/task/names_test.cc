#include "runner/task/event.h"
#include "runner/task/outcome.h"
#include "tests/unit/task/workflow_builder.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

TEST_CASE("Outcomes, streams and severities have the names that users see") {
  CHECK(outcome_name(OutcomeKind::kSucceeded) == std::string("succeeded"));
  CHECK(outcome_name(OutcomeKind::kFailed) == std::string("failed"));
  CHECK(outcome_name(OutcomeKind::kTimedOut) == std::string("timed_out"));
  CHECK(outcome_name(OutcomeKind::kCancelled) == std::string("cancelled"));
  CHECK(outcome_name(OutcomeKind::kSkipped) == std::string("skipped"));
  CHECK(outcome_name(OutcomeKind::kAborted) == std::string("aborted"));
  CHECK(outcome_name(OutcomeKind::kUnknown) == std::string("unknown"));
  CHECK(stream_name(OutputStream::kStdout) == std::string("stdout"));
  CHECK(stream_name(OutputStream::kStderr) == std::string("stderr"));
  CHECK(severity_name(Severity::kDebug) == std::string("debug"));
  CHECK(severity_name(Severity::kInfo) == std::string("info"));
  CHECK(severity_name(Severity::kSuccess) == std::string("success"));
  CHECK(severity_name(Severity::kWarn) == std::string("warn"));
  CHECK(severity_name(Severity::kError) == std::string("error"));
}

TEST_CASE("Only success and a skip let a run succeed") {
  for (const auto kind : {OutcomeKind::kFailed, OutcomeKind::kTimedOut, OutcomeKind::kCancelled,
                          OutcomeKind::kAborted, OutcomeKind::kUnknown}) {
    Outcome outcome;
    outcome.kind = kind;
    CHECK(outcome.fails_run());
  }
  Outcome skipped;
  skipped.kind = OutcomeKind::kSkipped;
  CHECK_FALSE(skipped.fails_run());
  CHECK_FALSE(Outcome{}.fails_run());
}

TEST_CASE("A workflow finds its tasks by name") {
  const Workflow workflow = workflow_of({{"a", {}}, {"b", {}}});
  REQUIRE(workflow.find("b"));
  CHECK(workflow.find("b")->place.text() == "tasks.lua:2");
  CHECK(workflow.find("c") == nullptr);
}

}  // namespace
}  // namespace sloth
