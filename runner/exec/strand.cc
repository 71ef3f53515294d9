#include "runner/exec/strand.h"

#include <utility>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/exec/executor.h"
#include "runner/exec/thread.h"

namespace sloth {

class Strand::State : public std::enable_shared_from_this<Strand::State> {
 public:
  explicit State(Executor& executor) : executor_(executor) {}

  bool post(Job job) EXCLUDES(mutex_);
  void drain() EXCLUDES(mutex_);

  static constinit thread_local const State* current;
  Executor& executor_;

 private:
  // Jobs in a row before other strands get their turn.
  static constexpr int kTurn = 64;

  bool refill() EXCLUDES(mutex_);

  // Of whoever drains; handed from one to the next through the executor.
  std::vector<Job> batch_;
  std::size_t next_ = 0;

  Mutex mutex_;
  std::vector<Job> inbox_ GUARDED_BY(mutex_);
  bool scheduled_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

constinit thread_local const Strand::State* Strand::State::current = nullptr;

bool Strand::State::post(Job job) {
  MutexLock lock(mutex_);
  if (closed_) return false;
  if (!scheduled_) {
    // Under the lock, so that nobody's job can join one that is about to be refused.
    if (!executor_.post([self = shared_from_this()] { self->drain(); })) {
      closed_ = true;
      return false;
    }
    scheduled_ = true;
  }
  inbox_.push_back(std::move(job));
  return true;
}

void Strand::State::drain() {
  const State* const outer = std::exchange(current, this);
  for (int turn = 0;; ++turn) {
    if (next_ == batch_.size() && !refill()) break;
    if (turn >= kTurn) {
      turn = 0;
      if (executor_.post_fair([self = shared_from_this()] { self->drain(); })) break;
      // The executor stops: what is queued still runs, here; a job that posts itself ends here.
      MutexLock lock(mutex_);
      closed_ = true;
    }
    Job job = std::move(batch_[next_++]);
    run_job(job);
  }
  current = outer;
}

bool Strand::State::refill() {
  batch_.clear();
  next_ = 0;
  MutexLock lock(mutex_);
  batch_.swap(inbox_);
  if (batch_.empty()) scheduled_ = false;
  return !batch_.empty();
}

Strand::Strand(Executor& executor) : state_(std::make_shared<State>(executor)) {}

bool Strand::post(Job job) const { return state_->post(std::move(job)); }

bool Strand::running_here() const { return State::current == state_.get(); }

Executor& Strand::executor() const { return state_->executor_; }

}  // namespace sloth
