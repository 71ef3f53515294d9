#include "runner/exec/executor.h"

#include <chrono>
#include <mutex>
#include <thread>
#include <utility>

#include "runner/base/check.h"
#include "runner/exec/blocking_lane.h"
#include "runner/exec/cpu_lane.h"
#include "runner/exec/reactor_thread.h"
#include "runner/exec/timer_queue.h"

namespace sloth {
namespace {

int worker_count(int asked) {
  if (asked > 0) return asked;
  const unsigned cores = std::thread::hardware_concurrency();
  return cores == 0 ? 1 : static_cast<int>(cores);
}

}  // namespace

class Executor::Impl {
 public:
  explicit Impl(const Options& options)
      : cpu(worker_count(options.workers)),
        blocking(options.blocking_threads),
        reactor([this](Job job) { cpu.post_fair(std::move(job)); }) {}

  void stop() {
    SLOTH_CHECK(!cpu.on_worker() && !blocking.on_thread() && !reactor.on_thread());
    // A second caller waits here until the first is done.
    std::call_once(stopped, [this] {
      cpu.close();
      blocking.close();
      reactor.drop_timers();
      cpu.join();
      blocking.join();
      // Last, since the jobs above may still wait for descriptors or close their watches.
      reactor.stop();
    });
  }

  CpuLane cpu;
  BlockingLane blocking;
  ReactorThread reactor;
  std::once_flag stopped;
};

Executor::Executor(Options options) : impl_(std::make_unique<Impl>(options)) {}

Executor::~Executor() { stop(); }

bool Executor::post(Job job) { return impl_->cpu.post(std::move(job)); }

bool Executor::post_fair(Job job) { return impl_->cpu.post_fair(std::move(job)); }

bool Executor::post_blocking(Job job) { return impl_->blocking.post(std::move(job)); }

TimerId Executor::run_at(TimePoint when, Job job) {
  if (when > std::chrono::steady_clock::now()) return impl_->reactor.run_at(when, std::move(job));
  return impl_->cpu.post_fair(std::move(job)) ? TimerQueue::kNeverQueued : 0;
}

bool Executor::cancel(TimerId timer) { return impl_->reactor.cancel(timer); }

Reactor& Executor::reactor() { return impl_->reactor; }

Executor::Stats Executor::stats() const {
  const CpuLane::Stats cpu = impl_->cpu.stats();
  const BlockingLane::Stats blocking = impl_->blocking.stats();
  Stats stats;
  stats.posted = cpu.posted + blocking.posted;
  stats.executed = cpu.executed + blocking.executed;
  stats.steals = cpu.steals;
  stats.workers_started = cpu.started;
  stats.blocking_started = blocking.started;
  stats.blocking_queued = blocking.queued;
  return stats;
}

void Executor::stop() { impl_->stop(); }

}  // namespace sloth
