// EngineFixture: an engine over the mock runner and operator-side functions without Lua; runs a workflow and
// gives back the report and every event.
//
// Not shared: one thread at a time, apart from what says otherwise.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "runner/base/clock.h"
#include "runner/engine/engine.h"
#include "runner/engine/mock_task_runner.h"
#include "runner/engine/single_placement.h"
#include "runner/exec/executor.h"

namespace sloth {

// Answers by what is asked: `run_if of task "build"`. Thread-safe once the run has begun.
class FakeOperators final : public OperatorSide {
 public:
  std::map<std::string, Result<OperatorAnswer>> answers;
  std::function<void(const OperatorCall&)> on_call;  // may be empty

  void call(OperatorCall call, std::stop_token, UniqueFunction<void(Result<OperatorAnswer>)> done) override {
    if (on_call) on_call(call);
    const auto found = answers.find(call.what);
    Result<OperatorAnswer> answer =
        found == answers.end() ? Result<OperatorAnswer>(OperatorAnswer{}) : found->second;
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(std::move(call));
    }
    done(std::move(answer));
  }

  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const OperatorCall& call : calls_) names.push_back(call.what);
    return names;
  }
  std::vector<OperatorCall> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;
  std::vector<OperatorCall> calls_;
};

// Thread-safe.
class EventCollector final : public EventSink {
 public:
  void on_event(const Event& event) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
  }
  std::vector<Event> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  // "start build", "end build failed", "skip test", "retry build", "log build": without the run's own events.
  std::vector<std::string> lines();

 private:
  std::mutex mutex_;
  std::vector<Event> events_;
};

struct EngineFixture {
  Executor executor{{.workers = 2}};
  SystemClock clock;
  MockTaskRunner runner{executor, clock};
  SinglePlacement placement{runner};
  FakeOperators operators;
  EventCollector sink;
  Engine engine{EngineServices{executor, clock, placement, operators, sink, [] { return 0.5; }}};
  std::shared_ptr<Workflow> workflow = std::make_shared<Workflow>();
  EngineOptions options;
  std::stop_source stop;

  EngineFixture();
  ~EngineFixture() { executor.stop(); }

  TaskSpec& add(const std::string& name, std::vector<std::string> needs = {});
  WorkflowGroup& add_group(const std::string& name, std::vector<std::string> tasks);

  std::future<RunReport> start(const std::vector<std::string>& targets = {});
  RunReport run(const std::vector<std::string>& targets = {}) { return start(targets).get(); }
};

const Outcome& outcome_of(const RunReport& report, const std::string& task);
PlanAction plan_function();

}  // namespace sloth
