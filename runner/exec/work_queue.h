// WorkQueue: the jobs of one worker. Its owner pushes and pops at one end, thieves take from the other.
//
// Thread-safe; push and pop are the owner's alone, so that a lock-free deque may take this one's
// place behind the same interface. It holds cells, it does not own them.
//
// What the parking argument (parker.h) asks of any such queue: `push` and `empty` are one total
// order. A thread that published something before its `empty` said true is seen by every thread whose
// `push` came later. Here the mutex gives that; a lock-free queue needs a full fence in both.
#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/exec/job_node.h"

namespace sloth {

class WorkQueue {
 public:
  static constexpr std::size_t kMostStolen = 128;

  WorkQueue() = default;
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Owner only.
  void push(JobNode* node) EXCLUDES(mutex_);

  // Owner only: the newest, or null.
  JobNode* pop() EXCLUDES(mutex_);

  // The oldest, or null. Any thread.
  JobNode* take_oldest() EXCLUDES(mutex_);

  // Moves the older half (at least one, at most kMostStolen) to the end of `out`, oldest first.
  // Returns how many. Any thread.
  std::size_t steal_half(std::vector<JobNode*>& out) EXCLUDES(mutex_);

  // Exact, and ordered as the head of this file says.
  [[nodiscard]] bool empty() const EXCLUDES(mutex_);

  // A guess without a lock, for choosing whom to rob.
  [[nodiscard]] bool looks_empty() const { return size_.load(std::memory_order_relaxed) == 0; }

 private:
  void grow() REQUIRES(mutex_);
  void resized() REQUIRES(mutex_) { size_.store(newest_ - oldest_, std::memory_order_relaxed); }
  JobNode*& at(std::size_t index) REQUIRES(mutex_) { return ring_[index & (ring_.size() - 1)]; }

  mutable Mutex mutex_;
  std::vector<JobNode*> ring_ GUARDED_BY(mutex_);  // its size is a power of two, or 0
  std::size_t oldest_ GUARDED_BY(mutex_) = 0;      // counts up for ever, as newest_ does
  std::size_t newest_ GUARDED_BY(mutex_) = 0;
  std::atomic<std::size_t> size_{0};
};

}  // namespace sloth
