// CpuLane: the workers that run jobs which compute; at most one per core in use.
//
// Thread-safe. Each worker has a deque: what a job posts goes there, newest first, so that it finds
// its data warm; a worker with nothing left takes from the injector, then steals the older half of a
// random other one's deque (Blumofe and Leiserson, 1999). Every 61st turn a worker looks at the far
// ends first, so that a job which posts itself again starves nobody. Workers are started one by one,
// each only when a job comes and all the others are busy.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/base/unique_function.h"
#include "runner/exec/injector.h"
#include "runner/exec/job_node.h"
#include "runner/exec/parker.h"

namespace sloth {

class CpuLane {
 public:
  struct Stats {
    std::uint64_t posted = 0;
    std::uint64_t executed = 0;
    std::uint64_t steals = 0;  // jobs that changed workers
    int started = 0;
  };

  // REQUIRES: workers > 0.
  explicit CpuLane(int workers);
  ~CpuLane();  // REQUIRES: join() was called.
  CpuLane(const CpuLane&) = delete;
  CpuLane& operator=(const CpuLane&) = delete;

  // False, and the job is destroyed unrun, once closed.
  bool post(Job job);
  bool post_fair(Job job);

  // Refuses new jobs from now on.
  void close() EXCLUDES(start_mutex_);

  // Waits until all accepted jobs have run and ends the threads. REQUIRES: close() before; one call;
  // not from a worker.
  void join();

  // True on a worker of this lane.
  [[nodiscard]] bool on_worker() const;

  [[nodiscard]] Stats stats() const;

 private:
  class Worker;

  bool post_outside(JobNode* node);
  // After a job was added: sees to it that somebody who is free will look.
  void notify();
  void start_one() EXCLUDES(start_mutex_);
  void start_locked() REQUIRES(start_mutex_);
  // Exact: locks every queue.
  [[nodiscard]] bool anything_queued() const;

  JobPool pool_;
  Injector injector_;
  Parker parker_;
  std::vector<std::unique_ptr<Worker>> workers_;  // all exist from the start, their threads do not
  std::atomic<int> started_{0};
  std::atomic<bool> closed_{false};

  Mutex start_mutex_;
  std::vector<std::thread> threads_ GUARDED_BY(start_mutex_);
  bool no_more_threads_ GUARDED_BY(start_mutex_) = false;
};

}  // namespace sloth
