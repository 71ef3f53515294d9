// App: the parts of the process that live as long as it works with a task file, built in one order and
// destroyed in the other. The one place where things are wired.
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
#include "runner/base/clock.h"
#include "runner/engine/lua_task_runner.h"
#include "runner/engine/plan_vm.h"
#include "runner/exec/executor.h"
#include "runner/lua/module.h"

namespace sloth {

class App {
 public:
  // Makes this process the home of orphans and raises its descriptor limit.
  explicit App(Config config);
  // When Lua code is stuck in a call that nothing can end, its parts stay, and leaving main() leaves the
  // process at once, with main()'s exit code.
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  [[nodiscard]] const Config& config() const;
  [[nodiscard]] Executor& executor();
  [[nodiscard]] const Clock& clock() const;
  [[nodiscard]] const std::vector<Module>& modules() const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& environment() const;
  // Unique among runs, unless the config names the run that goes on.
  [[nodiscard]] const std::string& run_id() const;
  // Requested by the first Ctrl-C.
  [[nodiscard]] std::stop_token stop() const;

  PlanVm& open_plan_vm(Host host);
  // REQUIRES: open_plan_vm was called.
  [[nodiscard]] PlanVm& plan_vm();
  // REQUIRES: open_plan_vm was called. Attempts that run die with a second Ctrl-C.
  LuaTaskRunner& open_runner(const std::string& file_directory);
  // What a second Ctrl-C says besides: work that goes on elsewhere. Called on the signal thread; empty:
  // nothing.
  void on_leave(std::function<std::string()> say);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sloth
