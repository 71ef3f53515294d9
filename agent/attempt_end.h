// end_attempt(): what is to be done and said when an attempt's process is gone.
//
// Thread-safe. Blocks for milliseconds, for a minute where the kernel does not let a process go: blocking
// lane.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "agent/attempt_children.h"
#include "agent/attempt_process.h"
#include "runner/os/descriptor.h"
#include "runner/task/outcome.h"

namespace sloth {

struct AttemptCircumstances {
  // It was watched to its end; else its number was found to be another process's, or nobody's.
  bool watched = true;
  // Somebody wanted its end: the outcome's message.
  std::optional<std::string> cancelled;
  // That was because its time was over.
  bool out_of_time = false;
};

// Reaps the process, ends all that it left behind, and reads its result. `pidfd` may be closed when it was
// not watched.
std::pair<AttemptState, Outcome> end_attempt(const AttemptPlan& plan, const ProcessName& name,
                                             const Descriptor& pidfd,
                                             const AttemptCircumstances& circumstances);

}  // namespace sloth
