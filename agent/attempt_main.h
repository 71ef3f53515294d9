// run_attempt(): what `sloth attempt` does after enter_attempt(): the one attempt of this process, to its
// result.
//
// Not shared: one thread at a time. Knows no Lua: the caller gives the TaskRunner.
#pragma once

#include "agent/attempt_entry.h"
#include "runner/task/task_runner.h"

namespace sloth {

// Runs it: events into the spool, the outcome into the result file, each on the disk before this returns.
// SIGTERM asks the task to end. Then every process that it left behind is killed. The exit code of the
// process, which must leave by _exit(): threads of the runner may be stuck. 0 when the outcome was written,
// whatever it is.
int run_attempt(AttemptInput input, TaskRunner& runner);

}  // namespace sloth
