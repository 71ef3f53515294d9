// TaskRun: one task of a run from its conditions to its last handler.
//
//   run_if -> abort_if -> attempt -> (pause -> attempt)* -> on_success | on_failure | on_timeout -> finally
//   -> done
//      no: skipped   yes: aborted      failed, retries left
//
// Strand-confined: call only on its strand (the engine's); it keeps itself alive until `done` was called.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "runner/engine/services.h"
#include "runner/exec/strand.h"
#include "runner/task/task.h"

namespace sloth {

class TaskRun : public std::enable_shared_from_this<TaskRun> {
 public:
  struct Setup {
    std::shared_ptr<const TaskSpec> spec;
    std::string run;
    std::string workdir;            // absolute
    Value::Map params;              // the task's, with -p over them
    Value::Map deps;                // outputs by task name
    const Value* values = nullptr;  // outlives the task run
    int first_attempt = 1;          // above 1: an earlier process of the run had some
    std::stop_token run_stop;  // of the whole run; cancel() follows, but the strand may be long in coming
  };
  // How it ended, and what went wrong in its handlers, which does not change how it ended.
  using Done = UniqueFunction<void(Outcome, std::vector<std::string> handler_errors)>;

  TaskRun(EngineServices& services, Strand strand, Setup setup, Done done);

  void start();

  // The attempt under way is cancelled, a pause is cut short, no attempt follows. Handlers run: `finally` for
  // a task that had started. Later calls do nothing.
  void cancel(std::string reason);

 private:
  void check_run_if();
  void check_abort_if();
  void start_attempt();
  void attempt_ended(Outcome outcome);
  void conclude(Outcome outcome);
  void run_finally();
  void finish();

  using Next = UniqueFunction<void(Result<OperatorAnswer>)>;
  // Calls an operator-side function; `next` runs on the strand.
  void ask(const char* what, const PlanAction& action, Value::List arguments, std::stop_token stop,
           Next next);
  void note_handler_error(const Result<OperatorAnswer>& answer);
  // How many attempts were started here.
  [[nodiscard]] int tries() const { return attempt_ - setup_.first_attempt + 1; }
  [[nodiscard]] Outcome ended(OutcomeKind kind, std::string message) const;
  void emit(decltype(Event::body) body);

  EngineServices& services_;
  Strand strand_;
  Setup setup_;
  Done done_;
  std::stop_source stop_;
  std::optional<std::stop_callback<UniqueFunction<void()>>> on_run_stop_;
  std::optional<std::string> cancelled_;  // the reason
  TimerId pause_ = 0;
  int attempt_;  // the last one that was started, here or before
  TimePoint first_start_{};
  Outcome outcome_;
  std::vector<std::string> handler_errors_;
};

}  // namespace sloth
