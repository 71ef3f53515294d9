#include "runner/engine/run_report.h"

#include <algorithm>

namespace sloth {

RunReport::Counts RunReport::counts() const {
  Counts counts;
  for (const auto& [task, outcome] : outcomes) {
    switch (outcome.kind) {
      case OutcomeKind::kSucceeded: ++counts.succeeded; break;
      case OutcomeKind::kSkipped: ++counts.skipped; break;
      case OutcomeKind::kCancelled: ++counts.cancelled; break;
      case OutcomeKind::kFailed:
      case OutcomeKind::kTimedOut:
      case OutcomeKind::kAborted:
      case OutcomeKind::kRefused:
      case OutcomeKind::kUnreachable:
      case OutcomeKind::kUnknown: ++counts.failed; break;
    }
  }
  return counts;
}

int RunReport::exit_code() const {
  if (stop == RunStop::kTimedOut) return 124;
  if (stop == RunStop::kInterrupted) return 130;
  const auto any = [&](auto&& matches) {
    return std::any_of(outcomes.begin(), outcomes.end(),
                       [&](const auto& entry) { return matches(entry.second); });
  };
  const auto any_of_kind = [&](OutcomeKind kind) {
    return any([kind](const Outcome& outcome) { return outcome.kind == kind; });
  };
  if (any_of_kind(OutcomeKind::kUnknown)) return 3;
  const auto was_started = [](const Outcome& outcome) {
    return outcome.fails_run() && outcome.kind != OutcomeKind::kRefused &&
           outcome.kind != OutcomeKind::kUnreachable;
  };
  if (any(was_started)) return 1;
  if (any_of_kind(OutcomeKind::kRefused)) return 4;
  return any_of_kind(OutcomeKind::kUnreachable) ? 5 : 0;
}

}  // namespace sloth
