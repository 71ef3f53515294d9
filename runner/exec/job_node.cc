#include "runner/exec/job_node.h"

namespace sloth {

JobNode* JobPool::take(std::size_t count) {
  JobNode* list = nullptr;
  MutexLock lock(mutex_);
  for (std::size_t taken = 0; taken < count; ++taken) {
    if (free_ == nullptr) grow();
    JobNode* const node = free_;
    free_ = node->next;
    node->next = list;
    list = node;
  }
  return list;
}

void JobPool::give(JobNode* first, JobNode* last) {
  MutexLock lock(mutex_);
  last->next = free_;
  free_ = first;
}

void JobPool::grow() {
  bundles_.push_back(std::make_unique<JobNode[]>(kBundle));
  for (std::size_t i = kBundle; i > 0; --i) {
    JobNode& node = bundles_.back()[i - 1];
    node.next = free_;
    free_ = &node;
  }
}

void JobCache::shrink() {
  JobNode* const first = free_;
  JobNode* last = first;
  for (std::size_t i = 1; i < JobPool::kBundle; ++i) last = last->next;
  free_ = last->next;
  count_ -= JobPool::kBundle;
  pool_.give(first, last);
}

}  // namespace sloth
