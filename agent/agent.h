// Agent: takes offers from its master, runs each as an AttemptProcess, and brings output and results home.
//
// Thread-safe. Its state is in its journal: after a crash the next Agent of the same directory finds its
// attempts again.
//
//   auto agent = Agent::open(options, services);
//   (*agent)->start();            // dials, and dials again with jitter whenever the link breaks
//   (*agent)->drain([] { ... });  // no new offers; called when nothing runs and all results are home
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agent/attempt_process.h"
#include "agent/link.h"
#include "agent/policy.h"
#include "runner/base/clock.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/exec/executor.h"

namespace sloth {

class Agent {
 public:
  struct Options {
    std::string name;
    // State: journal.db, lock, content/, attempts/, work/; made when missing, mode 0700. Of an agent that is
    // root it may be passed through (0711), for attempts of other users to reach their workspace.
    std::string directory;
    std::string version;  // of the program
    std::string host;
    AgentPolicy policy;
    // For tests; people never need them.
    Duration redial_first = std::chrono::milliseconds(50);
    Duration redial_most = std::chrono::seconds(10);
    Duration drain_alone = std::chrono::seconds(5);  // how long drain() waits for a master that is not there
    std::uint64_t journal_bytes = 0;                 // most of the journal's file; 0: what the disk has
  };
  // Lent: they outlive the agent.
  struct Services {
    Executor& executor;
    const Clock& clock;
    Dialer& dialer;
    AttemptHost& attempts;
  };

  // Reads the journal and takes its directory for itself. kInvalid for a damaged journal (named, left
  // untouched); kUnavailable when another process has the directory (its pid is named).
  static Result<std::unique_ptr<Agent>> open(Options options, Services services);
  // Lets go of what runs: it goes on without us. What was journalled stays.
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void start();
  // Refuses offers from now on. `done` (once, on the strand) when no attempt runs and every result is
  // acknowledged, or, with no master to be reached, when no attempt has run for 5 s; a Goodbye was sent then.
  // Attempts that were accepted and wait for a place are run first. Destroying the agent from `done` is fine.
  void drain(UniqueFunction<void()> done);
  // Ends everything that runs, as cancelled for `reason`.
  void cancel_all(std::string reason);

  // The master asks it to go: it takes no more offers, and whoever owns it calls drain(). Set before start.
  void on_drain_asked(std::function<void()> asked);

  // What an agent says about itself while it works, for its terminal: "attempt 4f.. (build) started". Set
  // before start.
  void on_note(std::function<void(std::string)> note);

 private:
  class Impl;
  Agent() = default;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sloth
