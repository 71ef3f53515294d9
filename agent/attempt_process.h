// AttemptProcess, AttemptHost: one attempt as a process of its own, seen from its agent: started or found again,
// watched, ended.
//
//   start() or adopt() -> on_output* (its spool grew) -> on_end once, when no process of it is left
//
// Strand-confined: call only on the agent's strand, where the callbacks come too. The process does not need its agent:
// it writes its spool and its result into files of the agent's state directory, ends by its own clock, and goes on when
// the agent dies. Two implementations: processes (process_host.h), and a fake for tests.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/attempt_state.h"
#include "agent/policy.h"
#include "runner/base/result.h"
#include "runner/exec/strand.h"
#include "runner/task/outcome.h"

namespace sloth {

// The files of one attempt in the agent's state directory, all made and owned by the agent.
struct AttemptFiles {
  std::string directory;  // <state>/attempts/<id>: `request`, `spool`, `result`, `log` (what the process itself says)
  [[nodiscard]] std::string request() const { return directory + "/request"; }
  [[nodiscard]] std::string spool() const { return directory + "/spool"; }
  [[nodiscard]] std::string result() const { return directory + "/result"; }
  [[nodiscard]] std::string log() const { return directory + "/log"; }
};

// Which process: a number alone may be somebody else's by now.
struct ProcessName {
  pid_t pid = -1;
  std::uint64_t start = 0;  // clock ticks since boot, /proc/PID/stat field 22
  std::string boot;         // /proc/sys/kernel/random/boot_id
  bool operator==(const ProcessName&) const = default;
};

struct AttemptPlan {
  std::string id;
  AttemptFiles files;           // `request` is written already, blobs are in `content`
  std::string content;          // directory of blobs by digest
  std::string workspace;        // made by start(): owned by the attempt's user; removed when it succeeded
  AttemptAccount account;       // whom it runs as (policy.h)
  AttemptLimits limits;
  std::optional<Duration> timeout;  // the task's own
};

struct AttemptEvents {
  std::function<void()> on_output;  // the spool file grew; several growths may be one call
  // No process of it is left. The outcome its result file holds, else what its death says.
  std::function<void(AttemptState, Outcome)> on_end;
};

class AttemptProcess {
 public:
  // Lets go of the process without ending it; no callback comes any more.
  virtual ~AttemptProcess() = default;
  [[nodiscard]] virtual const ProcessName& name() const = 0;
  // SIGTERM to the tree, 10 s, SIGKILL until none is left; then on_end with kCancelled (or kTimedOut when the limit in
  // time was the cause), unless a result was there before. Idempotent. `reason` is the outcome's message.
  virtual void cancel(std::string reason) = 0;
};

class AttemptHost {
 public:
  virtual ~AttemptHost() = default;
  // On an error nothing was started. kLimit: "cannot start process: EAGAIN" and the like, which may be tried again.
  virtual Result<std::unique_ptr<AttemptProcess>> start(AttemptPlan plan, Strand strand, AttemptEvents events) = 0;
  // After a restart of the agent: the process that `name` means, when it still is that one; when it is not, on_end
  // comes with what its result file holds, or kInterrupted.
  virtual std::unique_ptr<AttemptProcess> adopt(AttemptPlan plan, ProcessName name, Strand strand,
                                                AttemptEvents events) = 0;
};

}  // namespace sloth
