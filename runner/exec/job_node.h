// JobNode and JobPool: the cell in which a job waits, and the store of empty cells.
//
// A post must not cost an allocation, and a lock-free deque can hold only pointers; so jobs sit in
// cells that go from poster to worker and come back. Each worker keeps a JobCache of its own and
// trades whole bundles with the pool.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/base/unique_function.h"

namespace sloth {

struct alignas(64) JobNode {
  Job job;
  JobNode* next = nullptr;  // the list it is in: an injector's, a pool's, a cache's
};

// Thread-safe. Owns all cells, wherever they are, and with them the jobs that nobody ran; grows to the
// largest number of jobs that ever waited at once and stays there.
class JobPool {
 public:
  static constexpr std::size_t kBundle = 128;

  JobPool() = default;
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  // A list of `count` empty cells, at most kBundle.
  JobNode* take(std::size_t count) EXCLUDES(mutex_);

  // Takes back a list of empty cells, from `first` to `last`.
  void give(JobNode* first, JobNode* last) EXCLUDES(mutex_);

 private:
  void grow() REQUIRES(mutex_);

  Mutex mutex_;
  JobNode* free_ GUARDED_BY(mutex_) = nullptr;
  std::vector<std::unique_ptr<JobNode[]>> bundles_ GUARDED_BY(mutex_);
};

// Not shared: one thread at a time.
class JobCache {
 public:
  explicit JobCache(JobPool& pool) : pool_(pool) {}
  JobCache(const JobCache&) = delete;
  JobCache& operator=(const JobCache&) = delete;

  JobNode* take(Job job) {
    if (free_ == nullptr) {
      free_ = pool_.take(JobPool::kBundle);
      count_ = JobPool::kBundle;
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
    if (++count_ > 2 * JobPool::kBundle) shrink();
  }

 private:
  void shrink();

  JobPool& pool_;
  JobNode* free_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace sloth
