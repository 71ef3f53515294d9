#include "runner/engine/mock_task_runner.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "runner/exec/strand.h"

namespace sloth {

Outcome mock_failure(std::string message, OutcomeKind kind) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = std::move(message);
  return outcome;
}

class MockTaskRunner::Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(MockTaskRunner& runner, std::string name, Outcome outcome, UniqueFunction<void(Outcome)> done)
      : task(std::move(name)),
        runner_(runner),
        strand_(runner.executor_),
        outcome_(std::move(outcome)),
        done_(std::move(done)) {}

  // On the strand, so that an end that comes at once waits until the callback stands.
  void watch(std::stop_token stop) {
    strand_.post([self = shared_from_this(), stop = std::move(stop)]() mutable {
      if (self->ended_) return;
      self->on_stop_.emplace(std::move(stop), [attempt = self.get()] {
        attempt->end(mock_failure("cancelled", OutcomeKind::kCancelled));
      });
    });
  }
  void end_well() { end(outcome_); }

  const std::string task;

 private:
  void end(Outcome outcome) {
    if (ended_.exchange(true)) return;
    strand_.post([self = shared_from_this(), outcome = std::move(outcome)]() mutable {
      self->on_stop_.reset();
      auto done = std::move(self->done_);
      self->runner_.ended(*self);
      done(std::move(outcome));
    });
  }

  MockTaskRunner& runner_;
  Strand strand_;
  Outcome outcome_;
  UniqueFunction<void(Outcome)> done_;
  std::atomic<bool> ended_{false};
  std::optional<std::stop_callback<UniqueFunction<void()>>> on_stop_;
};

MockTaskRunner::MockTaskRunner(Executor& executor, const Clock& clock) : executor_(executor), clock_(clock) {}

MockTaskRunner::~MockTaskRunner() = default;

void MockTaskRunner::behave(const std::string& task, MockBehaviour behaviour) {
  MutexLock lock(mutex_);
  behaviours_[task] = std::move(behaviour);
}

void MockTaskRunner::start(TaskRequest request, EventSink& sink, std::stop_token stop,
                           UniqueFunction<void(Outcome)> done) {
  MockBehaviour behaviour;
  std::shared_ptr<Attempt> attempt;
  Event event;
  event.run = request.run;
  event.task = request.spec->name;
  event.attempt = request.attempt;
  {
    MutexLock lock(mutex_);
    if (const auto found = behaviours_.find(event.task); found != behaviours_.end())
      behaviour = found->second;
    Outcome outcome;
    if (!behaviour.outcomes.empty()) {
      const auto index = static_cast<std::size_t>(request.attempt - 1);
      outcome = behaviour.outcomes[std::min(index, behaviour.outcomes.size() - 1)];
    }
    attempt = std::make_shared<Attempt>(*this, event.task, std::move(outcome), std::move(done));
    running_.emplace(attempt.get(), attempt);
    peak_ = std::max(peak_, static_cast<int>(running_.size()));
  }
  for (std::string& text : behaviour.says) {
    event.wall_ms = clock_.wall_ms();
    event.body = TaskOutput{OutputStream::kStdout, std::move(text)};
    sink.on_event(event);
  }
  if (!behaviour.ignores_stop) attempt->watch(std::move(stop));
  if (!behaviour.holds) {
    if (behaviour.takes > Duration::zero()) {
      executor_.run_at(clock_.now() + behaviour.takes, [attempt] { attempt->end_well(); });
    } else {
      attempt->end_well();
    }
  }
  // Last: a test that waits for this start may release the attempt at once.
  MutexLock lock(mutex_);
  requests_.push_back(std::move(request));
  changed_.notify_all();
}

void MockTaskRunner::release(const std::string& task) {
  std::vector<std::shared_ptr<Attempt>> held;
  {
    MutexLock lock(mutex_);
    behaviours_[task].holds = false;
    for (const auto& [key, attempt] : running_) {
      if (attempt->task == task) held.push_back(attempt);
    }
  }
  for (const auto& attempt : held) attempt->end_well();
}

bool MockTaskRunner::wait_for_starts(std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  MutexLock lock(mutex_);
  while (requests_.size() < count) {
    if (!changed_.wait_until(mutex_, deadline)) return requests_.size() >= count;
  }
  return true;
}

std::vector<TaskRequest> MockTaskRunner::requests() {
  MutexLock lock(mutex_);
  return requests_;
}

std::vector<std::string> MockTaskRunner::started() {
  std::vector<std::string> names;
  MutexLock lock(mutex_);
  for (const TaskRequest& request : requests_) names.push_back(request.spec->name);
  return names;
}

int MockTaskRunner::peak() {
  MutexLock lock(mutex_);
  return peak_;
}

void MockTaskRunner::ended(Attempt& attempt) {
  MutexLock lock(mutex_);
  running_.erase(&attempt);
}

}  // namespace sloth
