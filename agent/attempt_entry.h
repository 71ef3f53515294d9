// enter_attempt(): how a process that an agent started becomes the attempt that it is to be.
//
// Not shared: one thread at a time.
#pragma once

#include <csignal>
#include <string>

#include "agent/attempt_process.h"
#include "agent/bundle.h"
#include "runner/base/result.h"

namespace sloth {

// What the agent gave by descriptors (process_host.h), before anything of it is trusted or started.
struct AttemptInput {
  std::string id;
  Unbundled bundle;
  AttemptPlan plan;
  int spool_fd = -1;
  int result_fd = -1;
};

// Reads it and becomes the attempt's user: groups, ids, no way back, no new privileges, limits, umask 077,
// workspace as directory; the home of its orphans. SIGTERM and its like are held back for run_attempt().
// REQUIRES: this process has one thread. On an error nothing of the task may run; the error is written as the
// result.
Result<AttemptInput> enter_attempt();

// The signals that it holds back: those that ask for the end, that tell of a limit, and that a child has
// ended.
sigset_t attempt_signals();

}  // namespace sloth
