// Injector: the common queue of a CPU lane, first in, first out: jobs from outside and fair ones.
//
// Thread-safe. Holds cells, owns none. Once closed it accepts nothing, and what it had accepted is
// there to be taken: whoever sees it closed and empty has seen the end.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/exec/job_node.h"

namespace sloth {

class Injector {
 public:
  Injector() = default;
  Injector(const Injector&) = delete;
  Injector& operator=(const Injector&) = delete;

  // False once closed; the cell stays the caller's.
  bool push(JobNode* node) EXCLUDES(mutex_);

  // The oldest, or null.
  JobNode* pop() EXCLUDES(mutex_);

  // Takes one share of `sharers` (at least one, at most `most`) to the end of `out`, oldest first.
  void take_share(std::size_t sharers, std::size_t most, std::vector<JobNode*>& out) EXCLUDES(mutex_);

  // Exact, and ordered with push as work_queue.h asks.
  [[nodiscard]] bool empty() const EXCLUDES(mutex_);

  // A guess without a lock.
  [[nodiscard]] bool looks_empty() const { return size_.load(std::memory_order_relaxed) == 0; }

  // Jobs accepted so far.
  [[nodiscard]] std::uint64_t accepted() const EXCLUDES(mutex_);

  void close() EXCLUDES(mutex_);

 private:
  JobNode* pop_locked() REQUIRES(mutex_);

  mutable Mutex mutex_;
  JobNode* first_ GUARDED_BY(mutex_) = nullptr;
  JobNode* last_ GUARDED_BY(mutex_) = nullptr;
  std::uint64_t accepted_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
  std::atomic<std::size_t> size_{0};  // written under the mutex
};

}  // namespace sloth
