// MockTaskRunner: attempts whose behaviour is dialled in: how long, how they end, until when they hold. It
// runs nothing; the engine and the wire are tried out with it, without Lua and without processes.
//
// Thread-safe. `done` comes from the executor's threads, never from inside start().
//
//   MockTaskRunner runner(executor, clock);
//   runner.behave("build", {.outcomes = {failed("no compiler"), {}}});    // fails once, then succeeds
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/exec/executor.h"
#include "runner/task/task_runner.h"

namespace sloth {

struct MockBehaviour {
  // One per attempt, the last one for all that follow. None: success.
  std::vector<Outcome> outcomes = {};
  Duration takes{};                    // then it ends
  bool holds = false;                  // ends only by release() or a stop request
  bool ignores_stop = false;           // a stop request changes nothing
  std::vector<std::string> says = {};  // output, sent when it starts
};

// An outcome with that message.
Outcome mock_failure(std::string message, OutcomeKind kind = OutcomeKind::kFailed);

class MockTaskRunner final : public TaskRunner {
 public:
  // Both outlive the runner, and the runner its attempts.
  MockTaskRunner(Executor& executor, const Clock& clock);
  ~MockTaskRunner() override;

  // Tasks without behaviour succeed at once. REQUIRES: no attempt of that task has started.
  void behave(const std::string& task, MockBehaviour behaviour) EXCLUDES(mutex_);

  void start(TaskRequest request, EventSink& sink, std::stop_token stop,
             UniqueFunction<void(Outcome)> done) override EXCLUDES(mutex_);

  // Lets the attempts of a task that `holds` end, those of now and those to come.
  void release(const std::string& task) EXCLUDES(mutex_);

  // Waits until `count` attempts have started in all; false after ten seconds.
  bool wait_for_starts(std::size_t count) EXCLUDES(mutex_);

  // Every request so far, in the order of start.
  std::vector<TaskRequest> requests() EXCLUDES(mutex_);
  // Names of these.
  std::vector<std::string> started() EXCLUDES(mutex_);
  // The most attempts that ran at one moment.
  int peak() EXCLUDES(mutex_);

 private:
  class Attempt;
  void ended(Attempt& attempt) EXCLUDES(mutex_);

  Executor& executor_;
  const Clock& clock_;
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, MockBehaviour> behaviours_ GUARDED_BY(mutex_);
  std::vector<TaskRequest> requests_ GUARDED_BY(mutex_);
  std::map<Attempt*, std::shared_ptr<Attempt>> running_ GUARDED_BY(mutex_);
  int peak_ GUARDED_BY(mutex_) = 0;
};

}  // namespace sloth
