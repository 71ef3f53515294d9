// Executor: all threads of the program. A work-stealing CPU lane, a bounded lane for calls that
// block, timers, and the reactor.
//
// Thread-safe. Threads start when first needed and end in stop(). A job never blocks the CPU lane:
// what blocks goes to post_blocking, what waits for a descriptor to the reactor, what waits for time
// to run_at. A job that lets an exception out ends the process: jobs report failure by value.
//
//   Executor executor({.workers = 2});
//   executor.post([] { compute(); });
//   executor.stop();
#pragma once

#include <cstdint>
#include <memory>

#include "runner/base/clock.h"
#include "runner/base/unique_function.h"

namespace sloth {

class Reactor;

using TimerId = std::uint64_t;  // 0 is never a timer

class Executor {
 public:
  struct Options {
    int workers = 0;            // CPU lane; 0: one per core
    int blocking_threads = 64;  // most threads of the blocking lane at once
  };
  struct Stats {
    std::uint64_t posted = 0;
    std::uint64_t executed = 0;
    std::uint64_t steals = 0;
    int workers_started = 0;
    int blocking_started = 0;
    std::uint64_t blocking_queued = 0;
  };

  explicit Executor(Options options);
  // stop()s.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Runs `job` on the CPU lane. From a worker: on its own deque (last in, first out, stealable).
  // False, and the job is destroyed unrun, once stop() has begun.
  bool post(Job job);

  // The same, but behind every job that waits already: for work that posts itself again.
  bool post_fair(Job job);

  // Runs `job` on a thread that may block. Queued without bound when all threads are busy.
  bool post_blocking(Job job);

  // Posts `job` to the CPU lane at `when` (at once if passed). 0 once stop() has begun.
  TimerId run_at(TimePoint when, Job job);

  // True: the job will not run and is destroyed. False: it ran, runs, or never was.
  bool cancel(TimerId timer);

  // Descriptors: pipes, sockets, pidfds. Its thread starts on first use.
  Reactor& reactor();

  [[nodiscard]] Stats stats() const;

  // Refuses new work, runs what is queued, drops timers, joins every thread. Idempotent; not from a
  // thread of this executor.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sloth
