// BlockingLane: a bounded set of threads for calls that block: name lookups, file walks, waits of
// libraries that know no other way.
//
// Thread-safe. A thread starts when a job comes and none is idle, up to the bound; beyond it jobs
// queue without limit, first in, first out. A thread that stays idle ends, so a burst leaves nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <thread>

#include "runner/base/clock.h"
#include "runner/base/mutex.h"
#include "runner/base/unique_function.h"

namespace sloth {

class BlockingLane {
 public:
  // REQUIRES: most_threads > 0.
  explicit BlockingLane(int most_threads, Duration idle_limit = std::chrono::seconds(10));
  ~BlockingLane();  // REQUIRES: join() was called.
  BlockingLane(const BlockingLane&) = delete;
  BlockingLane& operator=(const BlockingLane&) = delete;

  // False, and the job is destroyed unrun, once closed.
  bool post(Job job) EXCLUDES(mutex_);

  // Refuses new jobs from now on.
  void close() EXCLUDES(mutex_);

  // Waits until all accepted jobs have run and ends the threads. REQUIRES: close() before; one call;
  // not from a thread of this lane.
  void join() EXCLUDES(mutex_);

  // True on a thread of this lane.
  [[nodiscard]] bool on_thread() const;

  struct Stats {
    std::uint64_t posted = 0;
    std::uint64_t executed = 0;
    std::uint64_t queued = 0;  // waiting now
    int started = 0;           // threads so far
    int alive = 0;             // threads now
    int idle = 0;              // of these
  };
  [[nodiscard]] Stats stats() const EXCLUDES(mutex_);

 private:
  using Threads = std::list<std::thread>;

  void start_locked() REQUIRES(mutex_);
  void loop(Threads::iterator self) EXCLUDES(mutex_);

  const int most_threads_;
  const Duration idle_limit_;

  mutable Mutex mutex_;
  CondVar wake_;
  CondVar left_;
  std::deque<Job> queue_ GUARDED_BY(mutex_);
  Threads threads_ GUARDED_BY(mutex_);
  Threads ended_ GUARDED_BY(mutex_);  // have left their loop and are to be joined
  std::size_t idle_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
  Stats stats_ GUARDED_BY(mutex_);
};

}  // namespace sloth
