// Master: the one place that agents and runs dial: registry of agents, journal of attempts, relay of output
// and results.
//
// Thread-safe. Its state is in its directory: the next Master there goes on where this one stopped.
//
//   submit -> queued -> offered -> (accepted -> running -> result) as told by the agent -> told to the run
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/link.h"
#include "runner/base/clock.h"
#include "runner/base/result.h"
#include "runner/exec/executor.h"

namespace sloth {

class Master {
 public:
  struct Options {
    std::string directory;  // state: master.db, content/, spools/; made when missing, mode 0700
    std::string version;    // of the program
    Duration lease = std::chrono::seconds(30);  // an agent that is silent that long: its attempts are unknown
    Duration heartbeat = std::chrono::seconds(10);  // asked of agents
    Duration reconcile = std::chrono::minutes(2);   // after a restart nothing is lost before that
    Duration keep = std::chrono::hours(7 * 24);     // ended attempts and their spools
  };

  // Takes the directory for itself. kInvalid for a damaged database (named, left untouched); kUnavailable
  // when another process has it (its pid is named).
  static Result<std::unique_ptr<Master>> open(Options options, Executor& executor, const Clock& clock);
  // Closes every link; another one may open the directory then. Not from a job of the executor.
  ~Master();
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;

  // A connection that a listener accepted.
  void accept(Role role, std::unique_ptr<Link> link);

  // What a master says about itself: "agent web-1 joined". Set before the first accept.
  void on_note(std::function<void(std::string)> note);

 private:
  Master() = default;
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sloth
