#include "runner/exec/work_queue.h"

#include <algorithm>

namespace sloth {

void WorkQueue::push(JobNode* node) {
  MutexLock lock(mutex_);
  if (newest_ - oldest_ == ring_.size()) grow();
  at(newest_++) = node;
  resized();
}

JobNode* WorkQueue::pop() {
  // Only the owner adds, so to the owner an empty look is exact.
  if (looks_empty()) return nullptr;
  MutexLock lock(mutex_);
  if (oldest_ == newest_) return nullptr;
  JobNode* const node = at(--newest_);
  resized();
  return node;
}

JobNode* WorkQueue::take_oldest() {
  MutexLock lock(mutex_);
  if (oldest_ == newest_) return nullptr;
  JobNode* const node = at(oldest_++);
  resized();
  return node;
}

std::size_t WorkQueue::steal_half(std::vector<JobNode*>& out) {
  MutexLock lock(mutex_);
  const std::size_t count = std::min((newest_ - oldest_ + 1) / 2, kMostStolen);
  for (std::size_t i = 0; i < count; ++i) out.push_back(at(oldest_++));
  resized();
  return count;
}

bool WorkQueue::empty() const {
  MutexLock lock(mutex_);
  return oldest_ == newest_;
}

void WorkQueue::grow() {
  std::vector<JobNode*> larger(std::max<std::size_t>(64, ring_.size() * 2));
  for (std::size_t i = oldest_; i != newest_; ++i) larger[i & (larger.size() - 1)] = at(i);
  ring_ = std::move(larger);
}

}  // namespace sloth
