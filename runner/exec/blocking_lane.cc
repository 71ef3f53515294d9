#include "runner/exec/blocking_lane.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "runner/base/check.h"
#include "runner/base/log.h"
#include "runner/exec/thread.h"

namespace sloth {
namespace {

thread_local const BlockingLane* current = nullptr;

void join_all(std::list<std::thread>& threads) {
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

BlockingLane::BlockingLane(int most_threads, Duration idle_limit)
    : most_threads_(most_threads), idle_limit_(idle_limit) {
  SLOTH_CHECK(most_threads > 0);
}

BlockingLane::~BlockingLane() {
  MutexLock lock(mutex_);
  SLOTH_CHECK(threads_.empty() && ended_.empty());
}

bool BlockingLane::post(Job job) {
  Threads ended;
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    queue_.push_back(std::move(job));
    ++stats_.posted;
    if (queue_.size() <= idle_) {
      wake_.notify_one();
    } else if (threads_.size() < static_cast<std::size_t>(most_threads_)) {
      start_locked();
    }
    ended.swap(ended_);
  }
  join_all(ended);
  return true;
}

void BlockingLane::close() {
  MutexLock lock(mutex_);
  closed_ = true;
  wake_.notify_all();
}

void BlockingLane::join() {
  Threads ended;
  {
    MutexLock lock(mutex_);
    while (!threads_.empty()) left_.wait(mutex_);
    ended.swap(ended_);
  }
  join_all(ended);
}

bool BlockingLane::on_thread() const { return current == this; }

BlockingLane::Stats BlockingLane::stats() const {
  MutexLock lock(mutex_);
  Stats stats = stats_;
  stats.queued = queue_.size();
  stats.alive = static_cast<int>(threads_.size());
  stats.idle = static_cast<int>(idle_);
  return stats;
}

void BlockingLane::start_locked() {
  const auto self = threads_.emplace(threads_.end());
  const std::string name = fmt::format("sloth-block-{}", stats_.started + 1);
  // The loop begins by taking the mutex that is held here, so it finds its own handle in place.
  Job body = [this, self] { loop(self); };
  if (threads_.size() == 1) {
    *self = start_thread_or_abort(name, Interruptible::kNo, std::move(body));
  } else {
    auto thread = start_thread(name, Interruptible::kNo, std::move(body));
    if (!thread) {
      threads_.erase(self);
      log_warn("{}; going on with {} blocking thread(s)", thread.error().message, threads_.size());
      return;
    }
    *self = std::move(*thread);
  }
  ++stats_.started;
}

void BlockingLane::loop(Threads::iterator self) {
  current = this;
  MutexLock lock(mutex_);
  for (;;) {
    if (!queue_.empty()) {
      Job job = std::move(queue_.front());
      queue_.pop_front();
      mutex_.unlock();
      run_job(job);
      job = Job();
      mutex_.lock();
      ++stats_.executed;
      continue;
    }
    if (closed_) break;
    ++idle_;
    const TimePoint until = std::chrono::steady_clock::now() + idle_limit_;
    bool in_time = true;
    while (in_time && queue_.empty() && !closed_) in_time = wake_.wait_until(mutex_, until);
    --idle_;
    if (!in_time && queue_.empty()) break;
  }
  ended_.splice(ended_.end(), threads_, self);
  left_.notify_all();
}

}  // namespace sloth
