// App: the parts of the process that live as long as it works with a task file, as members in the order in
// which they are built. The one place where things are wired.
//
// Not shared: one thread at a time, except interrupt handling, which comes from the signal thread.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "cmd/config.h"
#include "modules/builtin.h"
#include "runner/base/clock.h"
#include "runner/base/mutex.h"
#include "runner/engine/lua_task_runner.h"
#include "runner/engine/plan_vm.h"
#include "runner/exec/executor.h"
#include "runner/lua/chunk_cache.h"
#include "runner/lua/interrupter.h"
#include "runner/os/signals.h"

namespace sloth {

class App {
 public:
  // Makes this process the home of orphans and raises its descriptor limit.
  explicit App(Config config);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] Executor& executor() { return executor_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] const std::vector<Module>& modules() const { return builtins_.modules(); }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& environment() const {
    return environment_;
  }
  // Unique among runs.
  [[nodiscard]] const std::string& run_id() const { return run_id_; }
  // Requested by the first Ctrl-C.
  [[nodiscard]] std::stop_token stop() const { return stop_.get_token(); }

  PlanVm& open_plan_vm(Host host);
  // REQUIRES: open_plan_vm was called. Attempts that run die with a second Ctrl-C.
  LuaTaskRunner& open_runner(const std::string& file_directory) EXCLUDES(mutex_);

 private:
  // On the signal thread. The second one leaves the process.
  void on_signal(int count) EXCLUDES(mutex_);
  [[noreturn]] void leave_now() EXCLUDES(mutex_);

  const Config config_;
  const std::string run_id_;
  const std::vector<std::pair<std::string, std::string>> environment_;
  std::stop_source stop_;
  SystemClock clock_;
  Mutex mutex_;
  LuaTaskRunner* live_runner_ GUARDED_BY(mutex_) = nullptr;

  Interrupter interrupter_;  // before any VM; its self-test needs to be alone, and it starts no thread
  SignalWatch signals_;      // before any other thread: blocks the signals for all of them
  Executor executor_;
  Builtins builtins_;
  ChunkCache chunks_;
  std::unique_ptr<PlanVm> plan_vm_;
  std::unique_ptr<LuaTaskRunner> runner_;
};

}  // namespace sloth
