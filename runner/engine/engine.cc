#include "runner/engine/engine.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <unordered_map>
#include <utility>

#include "runner/base/duration.h"
#include "runner/engine/group_gate.h"
#include "runner/engine/task_run.h"
#include "runner/exec/strand.h"

namespace sloth {
namespace {

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

Outcome ended(OutcomeKind kind, std::string message) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = std::move(message);
  return outcome;
}

std::string workdir_of(const Workflow& workflow, const TaskSpec& spec) {
  if (spec.workdir.empty()) return workflow.directory;
  return (std::filesystem::path(workflow.directory) / spec.workdir).lexically_normal().string();
}

}  // namespace

// Keeps itself alive through the jobs it posted until `done` was called.
class Engine::Run : public std::enable_shared_from_this<Run> {
 public:
  Run(EngineServices& services, std::shared_ptr<const Workflow> workflow, Plan plan, EngineOptions options,
      UniqueFunction<void(RunReport)> done)
      : services_(services),
        strand_(services.executor),
        workflow_(std::move(workflow)),
        plan_(std::move(plan)),
        options_(std::move(options)),
        done_(std::move(done)),
        gate_(*workflow_, options_.groups, plan_.order()),
        group_ends_(options_.groups.size()),
        group_timers_(options_.groups.size()) {
    for (const TaskSpec& spec : workflow_->tasks) specs_.emplace(spec.name, &spec);
  }

  void start(std::stop_token stop) {
    post([this, stop = std::move(stop)]() mutable {
      begin_ = services_.clock.now();
      emit(RunStarted{workflow_->file, plan_.order().size(), options_.jobs, options_.local_forced});
      if (options_.timeout > Duration::zero()) {
        run_timer_ = after(options_.timeout, [this] {
          interrupt(RunStop::kTimedOut, "the run timed out after " + format_duration(options_.timeout));
        });
      }
      run_stop_token_ = stop;
      on_stop_.emplace(std::move(stop),
                       [this] { post([this] { interrupt(RunStop::kInterrupted, "cancelled"); }); });
      pump();
    });
  }

 private:
  void post(Job job) {
    strand_.post([self = shared_from_this(), job = std::move(job)]() mutable {
      if (self->done_) job();
    });
  }

  TimerId after(Duration delay, Job job) {
    return services_.executor.run_at(services_.clock.now() + delay,
                                     [weak = weak_from_this(), job = std::move(job)]() mutable {
                                       if (const auto self = weak.lock()) self->post(std::move(job));
                                     });
  }

  // Starts what may start. Called after everything that could have changed that.
  void pump() {
    bool again = static_cast<bool>(done_);  // cancelling a task may have ended the run on the way here
    while (again) {
      start_ready();
      again = false;
      while (const auto group = gate_.to_open()) again = open_group(*group) || again;
      if (again || !running_.empty() || hooks_ > 0) continue;
      if (plan_.done()) return finish();
      again = gate_.let_one_through();
    }
  }

  void start_ready() {
    while (running_.size() < static_cast<std::size_t>(options_.jobs)) {
      std::optional<std::string> task = gate_.next();
      if (!task) {
        task = plan_.next_ready();
        if (!task) return;
        if (!gate_.admit(*task)) continue;
      }
      start_task(*task);
    }
  }

  void start_task(const std::string& name) {
    if (const auto before = options_.ended.find(name); before != options_.ended.end()) {
      return task_ended(name, before->second, {});
    }
    if (const auto group = gate_.group_of(name); group && group_ends_[*group]) {
      return task_ended(name, *group_ends_[*group], {});
    }
    const TaskSpec& spec = *specs_.at(name);
    TaskRun::Setup setup;
    setup.spec = std::shared_ptr<const TaskSpec>(workflow_, &spec);
    setup.run = options_.run;
    setup.workdir = workdir_of(*workflow_, spec);
    setup.params = spec.params;
    for (const auto& [key, value] : options_.params) setup.params.insert_or_assign(key, value);
    setup.params.insert_or_assign("task_name", name);
    setup.params.insert_or_assign("workdir", setup.workdir);
    for (const std::string& dependency : spec.depends_on) {
      setup.deps.emplace(dependency, outcome_of(dependency).outputs);
    }
    if (const auto first = options_.first_attempt.find(name); first != options_.first_attempt.end()) {
      setup.first_attempt = first->second;
    }
    setup.values = &options_.values;
    setup.run_stop = run_stop_token_;
    auto task = std::make_shared<TaskRun>(
        services_, strand_, std::move(setup),
        [self = shared_from_this(), name](Outcome outcome, std::vector<std::string> handler_errors) {
          self->running_.erase(name);
          self->task_ended(name, std::move(outcome), std::move(handler_errors));
          self->pump();
        });
    running_.emplace(name, task);
    task->start();
  }

  // A task that the gate had let through has ended.
  void task_ended(const std::string& name, Outcome outcome, std::vector<std::string> handler_errors) {
    for (std::string& error : handler_errors) handler_errors_.push_back(std::move(error));
    tell_end(name, outcome);
    const auto skipped = plan_.finished(name, outcome);
    const auto complete = gate_.ended(name, true);
    tell_unstarted(skipped);
    if (complete) complete_group(*complete);
    if (!outcome.fails_run() || stopped_) return;
    if (outcome.kind == OutcomeKind::kAborted) {
      stop_starting(OutcomeKind::kCancelled, fmt::format("not started ({} aborted the run)", name));
    } else if (outcome.stuck) {
      // Each such task keeps a thread: with more of them none would be left to end the run.
      stop_starting(OutcomeKind::kSkipped, fmt::format("not started ({} could not be ended)", name));
    } else if (!options_.keep_going) {
      stop_starting(OutcomeKind::kSkipped,
                    fmt::format("not started ({} failed; --keep-going goes on)", name));
    }
  }

  // The plan may have called off what had ended before its turn came.
  const Outcome& outcome_of(const std::string& name) const {
    const auto before = options_.ended.find(name);
    return before != options_.ended.end() ? before->second : plan_.outcomes().at(name);
  }

  void tell_end(const std::string& name, const Outcome& outcome) {
    if (const auto before = options_.ended.find(name); before != options_.ended.end()) {
      emit(TaskEnded{before->second, true}, name, before->second.attempts, before->second.agent);
    } else if (outcome.kind == OutcomeKind::kSkipped) {
      emit(TaskSkipped{outcome.message}, name);
    } else {
      emit(TaskEnded{outcome}, name, outcome.attempts, outcome.agent);
    }
  }

  void tell_unstarted(const std::vector<std::pair<std::string, Outcome>>& tasks) {
    for (const auto& [name, outcome] : tasks) {
      tell_end(name, outcome);
      if (const auto complete = gate_.ended(name, false)) complete_group(*complete);
    }
  }

  void stop_starting(OutcomeKind kind, const std::string& reason) {
    stopped_ = true;
    // First: what is kept at the gate counts as running in the plan, but never started.
    for (const std::string& name : gate_.take_held()) {
      const Outcome outcome = ended(kind, reason);
      tell_end(name, outcome);
      const auto skipped = plan_.finished(name, outcome);
      if (const auto complete = gate_.ended(name, false)) complete_group(*complete);
      tell_unstarted(skipped);
    }
    tell_unstarted(plan_.stop(kind, reason));
  }

  void interrupt(RunStop stop, const std::string& reason) {
    if (stop_ != RunStop::kNone) return;
    stop_ = stop;
    stop_starting(OutcomeKind::kCancelled, reason);
    cancel_running(reason, std::nullopt);
    pump();
  }

  void cancel_running(const std::string& reason, std::optional<std::size_t> only_group) {
    std::vector<std::shared_ptr<TaskRun>> tasks;
    for (const auto& [name, task] : running_) {
      if (!only_group || gate_.group_of(name) == only_group) tasks.push_back(task);
    }
    for (const auto& task : tasks) task->cancel(reason);
  }

  // True: it is open already. False: on_start runs first.
  bool open_group(std::size_t number) {
    const WorkflowGroup& group = gate_.group(number);
    if (group.timeout) {
      group_timers_[number] = after(*group.timeout, [this, number] {
        const std::string reason = fmt::format("workflow \"{}\" timed out after {}", gate_.group(number).name,
                                               format_duration(*gate_.group(number).timeout));
        end_group(number, ended(OutcomeKind::kCancelled, reason));
      });
    }
    if (!group.on_start) {
      gate_.opened(number);
      return true;
    }
    call_hook(fmt::format("on_start of workflow \"{}\"", group.name), *group.on_start, {},
              [this, number](Result<OperatorAnswer> answer) {
                const std::string what = fmt::format("on_start of workflow \"{}\"", gate_.group(number).name);
                if (!answer) {
                  group_ends_[number] = ended(OutcomeKind::kAborted, answer.error().message);
                } else if (!answer->yes.value_or(true)) {
                  group_ends_[number] =
                      ended(OutcomeKind::kAborted,
                            answer->message.empty() ? what + " said no" : what + ": " + answer->message);
                }
                gate_.opened(number);
                pump();
              });
    return false;
  }

  // No task of the group starts any more; those that run are cancelled.
  void end_group(std::size_t number, Outcome outcome) {
    if (group_ends_[number]) return;
    group_ends_[number] = outcome;
    cancel_running(outcome.message, number);
    pump();
  }

  void complete_group(std::size_t number) {
    const WorkflowGroup& group = gate_.group(number);
    if (group_timers_[number] != 0) services_.executor.cancel(group_timers_[number]);
    if (!group.on_complete || !gate_.was_opened(number)) {
      gate_.close(number);
      return;
    }
    bool success = true;
    Value::Map results;
    for (const std::string& name : group.tasks) {
      if (plan_.outcomes().count(name) == 0) continue;
      const Outcome& outcome = outcome_of(name);
      success = success && !outcome.fails_run();
      results.emplace(name, Value::Map{{"success", outcome.succeeded()},
                                       {"outcome", outcome_name(outcome.kind)},
                                       {"message", outcome.message},
                                       {"outputs", outcome.outputs},
                                       {"elapsed_ms", milliseconds(outcome.elapsed)}});
    }
    call_hook(fmt::format("on_complete of workflow \"{}\"", group.name), *group.on_complete,
              {success, std::move(results)}, [this, number](Result<OperatorAnswer> answer) {
                if (!answer) {
                  emit(TaskLog{Severity::kError, answer.error().message, Value::Map{}, true});
                  handler_errors_.push_back(answer.error().message);
                }
                gate_.close(number);
                pump();
              });
  }

  void call_hook(std::string what, PlanFunction function, Value::List arguments,
                 UniqueFunction<void(Result<OperatorAnswer>)> next) {
    ++hooks_;
    OperatorCall call;
    call.what = std::move(what);
    call.action = function;
    call.arguments = std::move(arguments);
    services_.operators.call(
        std::move(call), {},
        [self = shared_from_this(), next = std::move(next)](Result<OperatorAnswer> answer) mutable {
          Run& run = *self;
          run.post([&run, next = std::move(next), answer = std::move(answer)]() mutable {
            --run.hooks_;
            next(std::move(answer));
          });
        });
  }

  void finish() {
    on_stop_.reset();
    // All tasks were cancelled before word of it came to this strand.
    if (stop_ == RunStop::kNone && run_stop_token_.stop_requested()) stop_ = RunStop::kInterrupted;
    if (run_timer_ != 0) services_.executor.cancel(run_timer_);
    RunReport report;
    report.stop = stop_;
    report.elapsed = services_.clock.now() - begin_;
    report.handler_errors = std::move(handler_errors_);
    report.outcomes.reserve(plan_.order().size());
    for (const std::string& name : plan_.order()) report.outcomes.emplace_back(name, outcome_of(name));
    const RunReport::Counts counts = report.counts();
    emit(RunEnded{report.exit_code(), report.elapsed, counts.succeeded, counts.failed, counts.skipped,
                  counts.cancelled});
    auto done = std::exchange(done_, nullptr);
    done(std::move(report));
  }

  void emit(decltype(Event::body) body, const std::string& task = "", int attempt = 0,
            const std::string& agent = "") {
    services_.sink.on_event(
        Event{services_.clock.wall_ms(), options_.run, task, agent, attempt, std::move(body)});
  }

  EngineServices& services_;
  Strand strand_;
  const std::shared_ptr<const Workflow> workflow_;
  Plan plan_;
  const EngineOptions options_;
  UniqueFunction<void(RunReport)> done_;
  GroupGate gate_;
  std::unordered_map<std::string, const TaskSpec*> specs_;
  std::unordered_map<std::string, std::shared_ptr<TaskRun>> running_;
  std::vector<std::optional<Outcome>> group_ends_;  // how tasks of that group end that did not start yet
  std::vector<TimerId> group_timers_;
  int hooks_ = 0;         // on_start and on_complete under way
  bool stopped_ = false;  // nothing starts any more
  RunStop stop_ = RunStop::kNone;
  TimePoint begin_{};
  TimerId run_timer_ = 0;
  std::vector<std::string> handler_errors_;
  std::stop_token run_stop_token_;
  std::optional<std::stop_callback<UniqueFunction<void()>>> on_stop_;
};

Engine::Engine(EngineServices services) : services_(std::move(services)) {}
Engine::~Engine() = default;

void Engine::run(std::shared_ptr<const Workflow> workflow, Plan plan, EngineOptions options,
                 std::stop_token stop, UniqueFunction<void(RunReport)> done) {
  std::make_shared<Run>(services_, std::move(workflow), std::move(plan), std::move(options), std::move(done))
      ->start(std::move(stop));
}

}  // namespace sloth
