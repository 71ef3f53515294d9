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
  if (any([](const Outcome& outcome) { return outcome.kind == OutcomeKind::kUnknown; })) return 3;
  return any([](const Outcome& outcome) { return outcome.fails_run(); }) ? 1 : 0;
}

}  // namespace sloth
