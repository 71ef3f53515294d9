// RunClient: a run's end of the link to its master: submits attempts, follows them, asks questions; dials again when the
// link breaks and goes on where it was.
//
// Thread-safe. Callbacks come one at a time, on a strand of the client; none comes after the destructor, which is not
// called from one of them, nor from a job of the executor.
//
//   RunClient client({.run = id, .version = kVersion}, dialer, executor, clock);
//   client.submit(std::move(bundle), key, {}, {.on_event = print, .on_end = finish});
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/bundle.h"
#include "agent/link.h"
#include "agent/message.h"
#include "runner/base/clock.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/exec/executor.h"
#include "runner/task/event.h"

namespace sloth {

class RunClient {
 public:
  struct Options {
    std::string run;      // "" for one that only asks
    std::string version;  // of the program
    Duration redial_first = std::chrono::milliseconds(20);
    Duration redial_most = std::chrono::seconds(5);
  };
  struct Waits {
    Duration queue = std::chrono::minutes(5);      // for the agent
    Duration lost_after = std::chrono::minutes(10);  // unknown for that long is lost
  };
  struct Follower {
    std::function<void(AttemptState, const std::string& detail)> on_status;  // may be empty
    std::function<void(decltype(Event::body))> on_event;                     // output and logs
    std::function<void(AttemptState, Outcome)> on_end;                       // once, last
  };

  // The dialer and the others outlive the client.
  RunClient(Options options, Dialer& dialer, Executor& executor, const Clock& clock);
  // Attempts go on without us.
  ~RunClient();
  RunClient(const RunClient&) = delete;
  RunClient& operator=(const RunClient&) = delete;

  // The same key and bundle again is the same attempt.
  void submit(Bundle bundle, AttemptKey key, Waits waits, Follower follower);
  // An attempt that somebody submitted, from the beginning of its output.
  void follow(std::string attempt, Follower follower);
  // Its end still comes, as of what happened first.
  void cancel(std::string attempt, std::string reason);

  // One of ListAgents, ListAttempts, AgentCommand; `answer` gets Agents, RunAttempts, CommandAnswer. kUnavailable when
  // there was no master for `wait`.
  void ask(Message question, Duration wait, std::function<void(Result<Message>)> answer);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sloth
