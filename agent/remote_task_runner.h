// RemoteTaskRunner: runs attempts on agents, through the master: one on the agent that the task names, or one
// on each.
//
// Thread-safe. See TaskRunner for start().
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/run_client.h"
#include "runner/base/clock.h"
#include "runner/base/mutex.h"
#include "runner/task/task_runner.h"

namespace sloth {

class RemoteTaskRunner final : public TaskRunner {
 public:
  // All outlive the runner and its attempts.
  RemoteTaskRunner(RunClient& client, const Clock& clock, RunClient::Waits waits);
  ~RemoteTaskRunner() override;

  // REQUIRES: request.spec->delegate_to names agents. With several: the outcome is the worst of them, outputs
  // are by agent, Outcome::targets has each; a later attempt of the task goes only to those that have not
  // succeeded.
  void start(TaskRequest request, EventSink& sink, std::stop_token stop,
             UniqueFunction<void(Outcome)> done) override EXCLUDES(mutex_);

  // The run goes on, and these are its attempts that an earlier process submitted. start() follows those that
  // it would submit again, and tells their output from the first byte; a target on which an attempt of the
  // task has succeeded gets none any more, but gives that one's outcome. Before the first start().
  void resume(const std::vector<AttemptSummary>& attempts) EXCLUDES(mutex_);

  // Attempts under way, and their tasks: for leaving in a hurry.
  std::vector<std::pair<std::string, std::string>> live() EXCLUDES(mutex_);

 private:
  class FanOut;

  // What to follow instead of submitting `id`; "": nothing.
  std::string to_follow(const std::string& id, const std::string& task, const std::string& agent)
      EXCLUDES(mutex_);
  void launch(const std::shared_ptr<FanOut>& fan_out, std::size_t index);

  RunClient& client_;
  const Clock& clock_;
  const RunClient::Waits waits_;
  Mutex mutex_;
  std::map<std::string, std::string> live_ GUARDED_BY(mutex_);
  // Of an earlier process of the run: the ids, and by task and agent the one that succeeded.
  std::set<std::string> submitted_ GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::string>, std::string> succeeded_ GUARDED_BY(mutex_);
  // Of tasks with several targets: how each ended the last time.
  std::map<std::string, std::map<std::string, Outcome>> ended_ GUARDED_BY(mutex_);
};

}  // namespace sloth
