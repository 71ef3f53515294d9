// LuaAttempt: one attempt of a task in a VM of its own, from opening it to the end of everything it started.
//
//   open VM -> pre_hook -> command -> post_hook -> close VM -> end left-over processes -> done
//
// One that sits in a single long call of C code when its time is over, or when it is cancelled, is given up
// two seconds later: `done` gets its outcome, marked `stuck`, and from then on it tells the sink nothing.
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
  void end_processes_and_tell(Outcome outcome);
  // The VM's code does not react. Any thread.
  void give_up() EXCLUDES(mutex_, sink_mutex_);

  [[nodiscard]] const AttemptAction* action_of(Step step) const;
  // Keeps the action's function in the registry, revived; or says why it cannot be.
  Result<int> revive(const AttemptAction& action);
  int push_call(lua_State* L, Step step, const AttemptAction& action, int function);
  [[nodiscard]] Outcome outcome_of(Step step, RootOutcome& root, lua_State* L, int results) const;
  void warn_of_changed_captures(Outcome& outcome);
  void emit(decltype(Event::body) body) EXCLUDES(sink_mutex_);

  const LuaRunnerOptions& options_;
  const std::string id_;
  TaskRequest request_;
  EventSink& sink_;
  UniqueFunction<void(Outcome)> done_;  // whoever sets `over_` calls it
  Strand strand_;
  TimePoint deadline_{};  // zero: none
  Mutex mutex_;
  bool over_ GUARDED_BY(mutex_) = false;  // finished or given up
  bool cancelled_ GUARDED_BY(mutex_) = false;
  TimePoint cancelled_at_ GUARDED_BY(mutex_){};
  Scheduler::RootId root_ GUARDED_BY(mutex_) = 0;  // the step under way, or the last; 0 before
  Mutex sink_mutex_;
  bool silent_ GUARDED_BY(sink_mutex_) = false;  // given up: the sink may be gone
  Outcome outcome_;                              // the command's, once it ended

  // In the order of their lives.
  Host host_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<TaskScope> scope_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<PortableReviver> reviver_;
  std::optional<std::stop_callback<UniqueFunction<void()>>> on_stop_;
};

}  // namespace sloth
