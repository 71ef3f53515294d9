// LuaAttempt: one attempt of a task in a VM of its own, from opening it to the end of everything it started.
//
//   open VM -> pre_hook -> command -> post_hook -> close VM -> end left-over processes -> done
//
// Strand-confined: call only on its strand, apart from start(). It keeps itself alive until `done` was
// called.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "runner/base/mutex.h"
#include "runner/engine/lua_task_runner.h"
#include "runner/engine/task_scope.h"
#include "runner/exec/strand.h"
#include "runner/goroutine/scheduler.h"
#include "runner/lua/host.h"
#include "runner/lua/portable_codec.h"
#include "runner/lua/vm.h"

namespace sloth {

class LuaAttempt : public std::enable_shared_from_this<LuaAttempt> {
 public:
  // Thread-safe; returns at once. `id` is the SLOTH_ATTEMPT of its processes. `options` and `sink` outlive
  // it.
  static void start(const LuaRunnerOptions& options, std::string id, TaskRequest request, EventSink& sink,
                    std::stop_token stop, UniqueFunction<void(Outcome)> done);

 private:
  enum class Step { kPreHook, kCommand, kPostHook, kEnd };

  LuaAttempt(const LuaRunnerOptions& options, std::string id, TaskRequest request, EventSink& sink,
             UniqueFunction<void(Outcome)> done);

  void open(std::stop_token stop);
  void open_vm();
  void run(Step step);
  void step_ended(Step step, RootOutcome root, lua_State* L, int results);
  void finish(Outcome outcome);
  void close_vm();

  [[nodiscard]] const AttemptAction* action_of(Step step) const;
  // Keeps the action's function in the registry, revived; or says why it cannot be.
  Result<int> revive(const AttemptAction& action);
  int push_call(lua_State* L, Step step, const AttemptAction& action, int function);
  [[nodiscard]] Outcome outcome_of(Step step, RootOutcome& root, lua_State* L, int results) const;
  void warn_of_changed_captures(Outcome& outcome);
  void emit(decltype(Event::body) body);

  const LuaRunnerOptions& options_;
  const std::string id_;
  TaskRequest request_;
  EventSink& sink_;
  UniqueFunction<void(Outcome)> done_;
  Strand strand_;
  TimePoint deadline_{};  // zero: none
  Mutex mutex_;
  bool cancelled_ GUARDED_BY(mutex_) = false;
  Scheduler::RootId root_ GUARDED_BY(mutex_) = 0;  // the step under way, or the last; 0 before
  Outcome outcome_;  // the command's, once it ended

  // In the order of their lives.
  Host host_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<TaskScope> scope_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<PortableReviver> reviver_;
  std::optional<std::stop_callback<UniqueFunction<void()>>> on_stop_;
};

}  // namespace sloth
