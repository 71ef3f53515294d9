#include "runner/exec/job_node.h"

namespace sloth {
namespace {

void delete_all(JobNode* list) {
  while (list != nullptr) {
    JobNode* const next = list->next;
    delete list;
    list = next;
  }
}

}  // namespace

JobPool::~JobPool() { delete_all(free_); }

JobNode* JobPool::take() { return take(1); }

JobNode* JobPool::take(std::size_t count) {
  JobNode* list = nullptr;
  std::size_t taken = 0;
  {
    MutexLock lock(mutex_);
    for (; taken < count && free_ != nullptr; ++taken) {
      JobNode* const node = free_;
      free_ = node->next;
      --count_;
      node->next = list;
      list = node;
    }
  }
  for (; taken < count; ++taken) {
    JobNode* const node = new JobNode;
    node->next = list;
    list = node;
  }
  return list;
}

void JobPool::give(JobNode* list, std::size_t count) {
  if (count == 0) return;
  JobNode* last = list;
  while (last->next != nullptr) last = last->next;
  {
    MutexLock lock(mutex_);
    if (count_ + count <= kKept) {
      last->next = free_;
      free_ = list;
      count_ += count;
      return;
    }
  }
  delete_all(list);
}

void JobCache::shrink() {
  JobNode* const list = free_;
  JobNode* last = list;
  for (std::size_t i = 1; i < kBundle; ++i) last = last->next;
  free_ = last->next;
  last->next = nullptr;
  count_ -= kBundle;
  pool_.give(list, kBundle);
}

}  // namespace sloth
