// ProcessHost: attempts as real processes: `<program> attempt`, started by launch(), watched by pidfd and
// inotify.
//
// Strand-confined: call only on the agent's strand; see attempt_process.h.
//
// The process gets: 3 plan and request (a file), 4 the content directory, 5 the spool (append), 6 the result
// file; nothing else is open but 0 (/dev/null), 1 and 2 (the attempt's `log` file). Its environment is PATH,
// HOME, USER, LANG, SLOTH_ATTEMPT.
#pragma once

#include <memory>
#include <string>

#include "agent/attempt_process.h"
#include "runner/base/clock.h"
#include "runner/exec/executor.h"

namespace sloth {

class ProcessHost final : public AttemptHost {
 public:
  struct Options {
    Duration grace = std::chrono::seconds(10);  // between SIGTERM and SIGKILL of a cancel
  };
  // `program`: this very binary. Both others outlive the host and its processes. This process becomes the
  // home of orphans: a child of it that is in a session of its own and no attempt is taken for what a dead
  // attempt left behind.
  ProcessHost(std::string program, Executor& executor, const Clock& clock);
  ProcessHost(std::string program, Executor& executor, const Clock& clock, Options options);
  ~ProcessHost() override;

  Result<std::unique_ptr<AttemptProcess>> start(AttemptPlan plan, Strand strand,
                                                AttemptEvents events) override;
  std::unique_ptr<AttemptProcess> adopt(AttemptPlan plan, ProcessName name, Strand strand,
                                        AttemptEvents events) override;

 private:
  class Process;
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace sloth
