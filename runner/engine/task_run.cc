#include "runner/engine/task_run.h"

#include <fmt/format.h>

#include <utility>

#include "runner/engine/retry.h"

namespace sloth {
namespace {

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// What `finally` is told.
Value outcome_table(const Outcome& outcome) {
  Value::Map table{{"outcome", outcome_name(outcome.kind)},
                   {"success", outcome.succeeded()},
                   {"message", outcome.message},
                   {"outputs", outcome.outputs},
                   {"attempts", outcome.attempts},
                   {"elapsed_ms", milliseconds(outcome.elapsed)}};
  if (!outcome.succeeded()) table.emplace("error", outcome.message);
  return table;
}

}  // namespace

TaskRun::TaskRun(EngineServices& services, Strand strand, Setup setup, Done done)
    : services_(services),
      strand_(std::move(strand)),
      setup_(std::move(setup)),
      done_(std::move(done)),
      attempt_(setup_.first_attempt - 1) {}

void TaskRun::start() {
  // Straight to the attempt: when endless loops occupy every thread, no strand gets to cancel().
  on_run_stop_.emplace(setup_.run_stop, [stop = stop_]() mutable { stop.request_stop(); });
  check_run_if();
}

void TaskRun::cancel(std::string reason) {
  if (cancelled_) return;
  cancelled_ = std::move(reason);
  stop_.request_stop();
  // When the timer could not be taken back, its job finds `cancelled_` set.
  if (pause_ != 0 && services_.executor.cancel(std::exchange(pause_, 0))) {
    conclude(ended(OutcomeKind::kCancelled, *cancelled_));
  }
}

void TaskRun::check_run_if() {
  if (!setup_.spec->run_if) return check_abort_if();
  ask("run_if", *setup_.spec->run_if, {setup_.params, setup_.deps}, stop_.get_token(),
      [this](Result<OperatorAnswer> answer) {
        if (stop_.stop_requested())
          return conclude(ended(OutcomeKind::kCancelled, cancelled_.value_or("cancelled")));
        if (!answer) return conclude(ended(OutcomeKind::kFailed, answer.error().message));
        if (answer->yes.value_or(false)) return check_abort_if();
        conclude(ended(OutcomeKind::kSkipped,
                       answer->message.empty() ? "skipped (run_if)" : "skipped (" + answer->message + ")"));
      });
}

void TaskRun::check_abort_if() {
  if (!setup_.spec->abort_if) return start_attempt();
  ask("abort_if", *setup_.spec->abort_if, {setup_.params, setup_.deps}, stop_.get_token(),
      [this](Result<OperatorAnswer> answer) {
        if (stop_.stop_requested())
          return conclude(ended(OutcomeKind::kCancelled, cancelled_.value_or("cancelled")));
        if (!answer) return conclude(ended(OutcomeKind::kFailed, answer.error().message));
        if (!answer->yes.value_or(false)) return start_attempt();
        conclude(ended(OutcomeKind::kAborted,
                       answer->message.empty() ? "aborted by abort_if" : "aborted: " + answer->message));
      });
}

void TaskRun::start_attempt() {
  if (stop_.stop_requested()) {
    // Never within start(): whoever calls that is about to count the task as running.
    strand_.post([self = shared_from_this()] {
      self->conclude(self->ended(OutcomeKind::kCancelled, self->cancelled_.value_or("cancelled")));
    });
    return;
  }
  ++attempt_;
  if (tries() == 1) first_start_ = services_.clock.now();
  emit(TaskStarted{});
  TaskRequest request;
  request.spec = setup_.spec;
  request.run = setup_.run;
  request.attempt = attempt_;
  request.workdir = setup_.workdir;
  request.params = setup_.params;
  request.deps = setup_.deps;
  request.values = *setup_.values;
  TaskRunner& runner = services_.placement.runner_for(*setup_.spec);
  runner.start(std::move(request), services_.sink, stop_.get_token(),
               [self = shared_from_this()](Outcome outcome) mutable {
                 TaskRun& task = *self;
                 task.strand_.post([self = std::move(self), outcome = std::move(outcome)]() mutable {
                   self->attempt_ended(std::move(outcome));
                 });
               });
}

void TaskRun::attempt_ended(Outcome outcome) {
  const TaskSpec& spec = *setup_.spec;
  const bool ended_badly =
      !outcome.stuck && (outcome.kind == OutcomeKind::kFailed || outcome.kind == OutcomeKind::kTimedOut);
  // It may have run to its end: only its author can say that once more does no harm. That word alone is good
  // for one more attempt.
  const bool unknown_and_harmless = outcome.kind == OutcomeKind::kUnknown && spec.idempotent;
  const int extra_attempts =
      unknown_and_harmless ? std::max(spec.retries.extra_attempts, 1) : spec.retries.extra_attempts;
  const bool may_retry = ended_badly || unknown_and_harmless;
  if (cancelled_) {
    if (outcome.kind == OutcomeKind::kCancelled) outcome.message = *cancelled_;
  } else if (may_retry && !stop_.stop_requested() && tries() <= extra_attempts) {
    const Duration delay = retry_delay(spec.retries, tries(), services_.random());
    emit(TaskRetry{outcome.message, delay});
    outcome_ = std::move(outcome);
    pause_ = services_.executor.run_at(services_.clock.now() + delay, [self = shared_from_this()]() mutable {
      TaskRun& task = *self;
      task.strand_.post([self = std::move(self)] {
        self->pause_ = 0;
        self->start_attempt();
      });
    });
    return;
  }
  conclude(std::move(outcome));
}

void TaskRun::conclude(Outcome outcome) {
  outcome_ = std::move(outcome);
  outcome_.attempts = tries() > 0 ? attempt_ : 0;
  if (tries() > 0) outcome_.elapsed = services_.clock.now() - first_start_;
  const TaskSpec& spec = *setup_.spec;
  const auto then = [this](Result<OperatorAnswer> answer) {
    note_handler_error(answer);
    run_finally();
  };
  if (outcome_.kind == OutcomeKind::kSucceeded && spec.on_success) {
    return ask("on_success", *spec.on_success, {setup_.params, outcome_.outputs}, {}, then);
  }
  if (outcome_.kind == OutcomeKind::kTimedOut && spec.on_timeout) {
    return ask("on_timeout", *spec.on_timeout, {setup_.params, Value::Map{{"error", outcome_.message}}}, {},
               then);
  }
  // A task that ran out of time has failed; only one that says on_timeout wants to tell them apart.
  if ((outcome_.kind == OutcomeKind::kFailed || outcome_.kind == OutcomeKind::kTimedOut) && spec.on_failure) {
    Value::Map info{{"error", outcome_.message}, {"task_name", spec.name}};
    return ask("on_failure", *spec.on_failure, {setup_.params, std::move(info)}, {}, then);
  }
  run_finally();
}

void TaskRun::run_finally() {
  const bool had_begun = tries() > 0 || outcome_.kind == OutcomeKind::kFailed;
  if (!had_begun || !setup_.spec->finally_action) return finish();
  ask("finally", *setup_.spec->finally_action, {setup_.params, outcome_table(outcome_)}, {},
      [this](Result<OperatorAnswer> answer) {
        note_handler_error(answer);
        finish();
      });
}

void TaskRun::finish() {
  on_run_stop_.reset();
  Done done = std::move(done_);
  done(std::move(outcome_), std::move(handler_errors_));
}

void TaskRun::ask(const char* what, const PlanAction& action, Value::List arguments, std::stop_token stop,
                  Next next) {
  OperatorCall call;
  call.what = fmt::format("{} of task \"{}\"", what, setup_.spec->name);
  call.action = action;
  call.self = TaskIdentity{setup_.spec->name, "", std::max(attempt_, 1), setup_.run, setup_.workdir};
  call.arguments = std::move(arguments);
  call.env = setup_.spec->env;
  services_.operators.call(
      std::move(call), std::move(stop),
      [self = shared_from_this(), next = std::move(next)](Result<OperatorAnswer> answer) mutable {
        TaskRun& task = *self;
        task.strand_.post([self = std::move(self), next = std::move(next),
                           answer = std::move(answer)]() mutable { next(std::move(answer)); });
      });
}

void TaskRun::note_handler_error(const Result<OperatorAnswer>& answer) {
  if (answer) return;
  emit(TaskLog{Severity::kError, answer.error().message, Value::Map{}, true});
  handler_errors_.push_back(answer.error().message);
}

Outcome TaskRun::ended(OutcomeKind kind, std::string message) const {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = std::move(message);
  return outcome;
}

void TaskRun::emit(decltype(Event::body) body) {
  services_.sink.on_event(
      Event{services_.clock.wall_ms(), setup_.run, setup_.spec->name, "", attempt_, std::move(body)});
}

}  // namespace sloth
