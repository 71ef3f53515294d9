// ReactorThread: the reactor itself, and the keeper of all timers.
//
// Thread-safe. Its thread starts with the first call that needs it. stop() runs what was posted, ends
// every watch without a word, drops all timers and joins; afterwards everything is refused, and
// closing an old watch is safe and runs `closed` at once, on the caller.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>

#include "runner/base/mutex.h"
#include "runner/exec/reactor.h"

namespace sloth {

class ReactorThread final : public Reactor {
 public:
  // `due` is handed the jobs of run_at when their time has come, on the reactor's thread.
  explicit ReactorThread(UniqueFunction<void(Job)> due);
  ~ReactorThread() override;  // stop()s.
  ReactorThread(const ReactorThread&) = delete;
  ReactorThread& operator=(const ReactorThread&) = delete;

  Result<std::shared_ptr<Watch>> watch(int fd, unsigned directions,
                                       UniqueFunction<void(unsigned)> ready) override;
  bool post(Job job) override;
  bool post_at(TimePoint when, Job job) override;
  [[nodiscard]] bool on_thread() const override;

  // Hands `job` to `due` at `when`. 0 once timers were dropped.
  std::uint64_t run_at(TimePoint when, Job job);
  bool cancel(std::uint64_t timer);

  // Destroys all timers and refuses more; the first step of stop().
  void drop_timers();

  // Idempotent. Not from the reactor's own thread.
  void stop() EXCLUDES(mutex_);

 private:
  class Loop;
  class WatchState;
  class WatchHandle;

  // The loop, with its thread running; null once stopped.
  Loop* running() EXCLUDES(mutex_);

  mutable Mutex mutex_;
  UniqueFunction<void(Job)> due_ GUARDED_BY(mutex_);  // until the loop takes it
  std::shared_ptr<Loop> loop_ GUARDED_BY(mutex_);     // shared with the watches, which may outlive this
  std::thread thread_ GUARDED_BY(mutex_);
  bool timers_dropped_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
};

}  // namespace sloth
