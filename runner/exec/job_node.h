// JobNode and JobPool: the cell in which a job waits, and the store of empty cells.
//
// A post must not cost an allocation, and a lock-free deque can hold only pointers; so jobs sit in
// cells that go from poster to worker and come back. Each worker keeps a JobCache of its own and
// trades whole bundles with the pool.
#pragma once

#include <cstddef>

#include "runner/base/mutex.h"
#include "runner/base/unique_function.h"

namespace sloth {

struct alignas(64) JobNode {
  Job job;
  JobNode* next = nullptr;  // the list it is in: an injector's, a pool's, a cache's
};

// Thread-safe. Owns the cells given to it; keeps a bounded number of them.
class JobPool {
 public:
  JobPool() = default;
  ~JobPool();
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  // An empty cell.
  JobNode* take() EXCLUDES(mutex_);

  // A list of exactly `count` empty cells.
  JobNode* take(std::size_t count) EXCLUDES(mutex_);

  // Takes back the list of `count` cells, all empty.
  void give(JobNode* list, std::size_t count) EXCLUDES(mutex_);

 private:
  static constexpr std::size_t kKept = 16384;

  Mutex mutex_;
  JobNode* free_ GUARDED_BY(mutex_) = nullptr;
  std::size_t count_ GUARDED_BY(mutex_) = 0;
};

// Not shared: one thread at a time.
class JobCache {
 public:
  explicit JobCache(JobPool& pool) : pool_(pool) {}
  ~JobCache() { pool_.give(free_, count_); }
  JobCache(const JobCache&) = delete;
  JobCache& operator=(const JobCache&) = delete;

  JobNode* take(Job job) {
    if (free_ == nullptr) {
      free_ = pool_.take(kBundle);
      count_ = kBundle;
    }
    JobNode* const node = free_;
    free_ = node->next;
    --count_;
    node->job = std::move(job);
    return node;
  }

  // `node` is empty already.
  void give(JobNode* node) {
    node->next = free_;
    free_ = node;
    if (++count_ > 2 * kBundle) shrink();
  }

 private:
  static constexpr std::size_t kBundle = 128;

  void shrink();

  JobPool& pool_;
  JobNode* free_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace sloth
