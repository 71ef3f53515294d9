#include "runner/task/outcome.h"

namespace sloth {

const char* outcome_name(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kSucceeded: return "succeeded";
    case OutcomeKind::kFailed: return "failed";
    case OutcomeKind::kTimedOut: return "timed_out";
    case OutcomeKind::kCancelled: return "cancelled";
    case OutcomeKind::kSkipped: return "skipped";
    case OutcomeKind::kAborted: return "aborted";
    case OutcomeKind::kUnknown: return "unknown";
    case OutcomeKind::kRefused: return "refused";
    case OutcomeKind::kUnreachable: return "unreachable";
  }
  return "?";
}

}  // namespace sloth
