#include "runner/engine/lua_attempt.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runner/base/duration.h"
#include "runner/engine/answer.h"
#include "runner/lua/value_codec.h"

namespace sloth {
namespace {

Outcome failed(std::string message) {
  Outcome outcome;
  outcome.kind = OutcomeKind::kFailed;
  outcome.message = std::move(message);
  return outcome;
}

Outcome failed(Vm::Failure failure) {
  Outcome outcome = failed(std::move(failure.message));
  outcome.traceback = std::move(failure.traceback);
  outcome.place = std::move(failure.place);
  return outcome;
}

}  // namespace

void LuaAttempt::start(const LuaRunnerOptions& options, std::string id, TaskRequest request, EventSink& sink,
                       std::stop_token stop, UniqueFunction<void(Outcome)> done) {
  const std::shared_ptr<LuaAttempt> attempt(
      new LuaAttempt(options, std::move(id), std::move(request), sink, std::move(done)));
  attempt->strand_.post([attempt, stop = std::move(stop)]() mutable { attempt->open(std::move(stop)); });
}

LuaAttempt::LuaAttempt(const LuaRunnerOptions& options, std::string id, TaskRequest request, EventSink& sink,
                       UniqueFunction<void(Outcome)> done)
    : options_(options),
      id_(std::move(id)),
      request_(std::move(request)),
      sink_(sink),
      done_(std::move(done)),
      strand_(*options.executor) {}

void LuaAttempt::open(std::stop_token stop) {
  if (request_.spec->timeout) deadline_ = options_.clock->now() + *request_.spec->timeout;
  open_vm();
  // The callback may come from any thread, and at once. Not by way of the strand: an endless loop occupies
  // it.
  on_stop_.emplace(std::move(stop), [this] {
    MutexLock lock(mutex_);
    cancelled_ = true;
    cancelled_at_ = options_.clock->now();
    scheduler_->cancel_root(root_, "cancelled");
  });
  run(Step::kPreHook);
}

void LuaAttempt::open_vm() {
  host_.workdir = request_.workdir;
  host_.file_directory = options_.file_directory;
  host_.attempt = id_;
  host_.environment = options_.environment;
  for (const auto& variable : request_.spec->env) {
    const auto found = std::find_if(host_.environment.begin(), host_.environment.end(),
                                    [&](const auto& entry) { return entry.first == variable.first; });
    if (found == host_.environment.end()) {
      host_.environment.emplace_back(variable);
    } else {
      found->second = variable.second;
    }
  }
  host_.values = std::move(request_.values);
  host_.may_read_sources = false;
  host_.write = [this](OutputStream stream, std::string_view bytes) {
    emit(TaskOutput{stream, std::string(bytes)});
  };
  host_.log = [this](Severity severity, std::string_view text, const Value& fields) {
    emit(TaskLog{severity, std::string(text), fields});
  };
  vm_ = Vm::open({.host = &host_,
                  .chunks = options_.chunks,
                  .interrupter = options_.interrupter,
                  .memory_limit = options_.memory_limit});
  // What is made from here to seal() lives as long as the VM: collecting in between finds nothing.
  lua_gc(vm_->state(), LUA_GCSTOP, 0);
  // Before the modules: `goroutine` asks for it when it is installed.
  Scheduler::Options scheduling{.clock = options_.clock};
  scheduling.unresponsive = [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->options_.executor->post_blocking([self] { self->give_up(); });
  };
  scheduler_ = std::make_unique<Scheduler>(*vm_, strand_, std::move(scheduling));
  for (const Module& module : *options_.modules) vm_->install(module);
  scope_ = std::make_unique<TaskScope>(*vm_);
  vm_->seal();
  lua_gc(vm_->state(), LUA_GCRESTART, 0);
}

const AttemptAction* LuaAttempt::action_of(Step step) const {
  const TaskSpec& spec = *request_.spec;
  switch (step) {
    case Step::kPreHook: return spec.pre_hook ? &*spec.pre_hook : nullptr;
    case Step::kCommand: return &spec.command;
    case Step::kPostHook: return spec.post_hook ? &*spec.post_hook : nullptr;
    case Step::kEnd: return nullptr;
  }
  return nullptr;
}

void LuaAttempt::run(Step step) {
  const AttemptAction* action = action_of(step);
  if (action == nullptr) {
    if (step == Step::kPreHook) return run(Step::kCommand);
    return finish(std::move(outcome_));
  }
  Scheduler::RootOptions root;
  root.name = fmt::format("task \"{}\"", request_.spec->name);
  if (deadline_ != TimePoint{})
    root.timeout = std::max<Duration>(deadline_ - options_.clock->now(), Duration(1));
  Result<int> function = revive(*action);
  if (!function) return finish(failed(function.error().message));
  const Scheduler::RootId started = scheduler_->start_root(
      std::move(root),
      [this, step, action, function = *function](lua_State* L) {
        return push_call(L, step, *action, function);
      },
      [self = shared_from_this(), step](RootOutcome outcome, lua_State* L, int results) {
        self->step_ended(step, std::move(outcome), L, results);
      });
  MutexLock lock(mutex_);
  root_ = started;
  if (cancelled_) scheduler_->cancel_root(root_, "cancelled");
}

Result<int> LuaAttempt::revive(const AttemptAction& action) {
  const auto* portable = std::get_if<PortableFunction>(&action);
  if (portable == nullptr) return LUA_NOREF;
  if (reviver_ == nullptr) reviver_ = std::make_unique<PortableReviver>(*vm_, portable->store);
  if (auto pushed = reviver_->push(vm_->state(), portable->object); !pushed) return pushed.error();
  return luaL_ref(vm_->state(), LUA_REGISTRYINDEX);
}

int LuaAttempt::push_call(lua_State* L, Step step, const AttemptAction& action, int function) {
  if (const auto* shell = std::get_if<ShellCommand>(&action)) {
    return scope_->push_shell(L, shell->text, "", {});
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, function);
  scope_->push_this(L, {request_.spec->name, request_.agent, request_.attempt, request_.run, request_.workdir,
                        request_.fresh_workdir});
  push_value(L, request_.params);
  push_value(L, step == Step::kPostHook ? outcome_.outputs : Value(request_.deps));
  return 3;
}

void LuaAttempt::step_ended(Step step, RootOutcome root, lua_State* L, int results) {
  Outcome outcome = outcome_of(step, root, L, results);
  outcome.warnings = std::move(outcome_.warnings);
  std::move(root.warnings.begin(), root.warnings.end(), std::back_inserter(outcome.warnings));
  if (step == Step::kCommand || !outcome.succeeded()) {
    outcome_ = std::move(outcome);
  } else {
    outcome_.warnings = std::move(outcome.warnings);
  }
  const bool goes_on = outcome_.succeeded() && step != Step::kPostHook;
  // A job of its own: what is destroyed at the end may not be while it calls.
  strand_.post([self = shared_from_this(), next = goes_on ? static_cast<Step>(static_cast<int>(step) + 1)
                                                          : Step::kEnd] { self->run(next); });
}

Outcome LuaAttempt::outcome_of(Step step, RootOutcome& root, lua_State* L, int results) const {
  const std::string what = step == Step::kPreHook    ? "pre_hook: "
                           : step == Step::kPostHook ? "post_hook: "
                                                     : "";
  Outcome outcome;
  switch (root.kind) {
    case RootOutcome::Kind::kReturned:
      outcome = step == Step::kCommand ? command_answer(L, results) : hook_answer(L, results);
      if (outcome.succeeded() && !root.unawaited.empty()) {
        const std::size_t others = root.unawaited.size() - 1;
        if (const auto code = root.unawaited.front().exit_code) {
          if (*code == 0) return outcome;
          return failed(root.unawaited.front().message);
        }
        outcome = failed(std::move(root.unawaited.front()));
        if (others > 0) outcome.message += fmt::format("\n(and {} more goroutines failed)", others);
      }
      break;
    case RootOutcome::Kind::kRaised:
      if (root.failure.exit_code == 0) return outcome;
      outcome = failed(std::move(root.failure));
      break;
    case RootOutcome::Kind::kTimedOut:
      outcome = failed(std::move(root.failure));
      outcome.kind = OutcomeKind::kTimedOut;
      outcome.message = "timed out after " + format_duration(request_.spec->timeout.value_or(Duration()));
      break;
    case RootOutcome::Kind::kCancelled:
      outcome = failed(std::move(root.failure));
      outcome.kind = OutcomeKind::kCancelled;
      break;
  }
  if (!outcome.succeeded()) outcome.message.insert(0, what);
  return outcome;
}

void LuaAttempt::warn_of_changed_captures(Outcome& outcome) {
  if (reviver_ == nullptr ||
      (outcome.kind != OutcomeKind::kSucceeded && outcome.kind != OutcomeKind::kFailed))
    return;
  for (const std::string& path : reviver_->changed_tables(vm_->state())) {
    outcome.warnings.push_back(fmt::format(
        "the task changed the table \"{}\", which it has from outside; other tasks do not see that: "
        "return it as an output",
        path));
  }
}

void LuaAttempt::give_up() {
  constexpr std::chrono::seconds kPatience{2};
  Outcome outcome;
  {
    MutexLock lock(mutex_);
    const TimePoint late = options_.clock->now() - kPatience;
    const bool timed_out = deadline_ != TimePoint{} && deadline_ <= late;
    if (over_ || !(timed_out || (cancelled_ && cancelled_at_ <= late))) return;
    over_ = true;
    outcome =
        failed(timed_out ? "timed out after " + format_duration(request_.spec->timeout.value_or(Duration()))
                         : "cancelled");
    outcome.kind = timed_out ? OutcomeKind::kTimedOut : OutcomeKind::kCancelled;
    outcome.stuck = true;
  }
  emit(TaskLog{
      Severity::kWarn,
      "still inside one call of C code that nothing can interrupt (usually a pattern on a long text, in "
      "string.find, match, gmatch or gsub); the run goes on without this task",
      Value::Map{}});
  {
    MutexLock lock(sink_mutex_);
    silent_ = true;
  }
  end_processes_and_tell(std::move(outcome));
}

void LuaAttempt::finish(Outcome outcome) {
  {
    MutexLock lock(mutex_);
    if (std::exchange(over_, true)) return;
  }
  warn_of_changed_captures(outcome);
  on_stop_.reset();
  close_vm();
  end_processes_and_tell(std::move(outcome));
}

void LuaAttempt::end_processes_and_tell(Outcome outcome) {
  if (outcome.succeeded() || !options_.cleanup) {
    auto done = std::move(done_);
    return done(std::move(outcome));
  }
  options_.cleanup(id_, [self = shared_from_this(), outcome = std::move(outcome)]() mutable {
    auto done = std::move(self->done_);
    done(std::move(outcome));
  });
}

void LuaAttempt::close_vm() {
  reviver_.reset();
  scheduler_.reset();
  scope_.reset();
  vm_.reset();
}

void LuaAttempt::emit(decltype(Event::body) body) {
  MutexLock lock(sink_mutex_);
  if (silent_) return;
  sink_.on_event(Event{options_.clock->wall_ms(), request_.run, request_.spec->name, request_.agent,
                       request_.attempt, std::move(body)});
}

}  // namespace sloth
