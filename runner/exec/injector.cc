#include "runner/exec/injector.h"

#include <algorithm>

namespace sloth {

bool Injector::push(JobNode* node) {
  MutexLock lock(mutex_);
  if (closed_) return false;
  node->next = nullptr;
  (first_ == nullptr ? first_ : last_->next) = node;
  last_ = node;
  ++accepted_;
  size_.store(size_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return true;
}

JobNode* Injector::pop() {
  if (looks_empty()) return nullptr;
  MutexLock lock(mutex_);
  return pop_locked();
}

void Injector::take_share(std::size_t sharers, std::size_t most, std::vector<JobNode*>& out) {
  if (looks_empty()) return;
  MutexLock lock(mutex_);
  const std::size_t size = size_.load(std::memory_order_relaxed);
  const std::size_t count = std::min({size / sharers + 1, most, size});
  for (std::size_t i = 0; i < count; ++i) out.push_back(pop_locked());
}

bool Injector::empty() const {
  MutexLock lock(mutex_);
  return first_ == nullptr;
}

std::uint64_t Injector::accepted() const {
  MutexLock lock(mutex_);
  return accepted_;
}

void Injector::close() {
  MutexLock lock(mutex_);
  closed_ = true;
}

JobNode* Injector::pop_locked() {
  JobNode* const node = first_;
  if (node == nullptr) return nullptr;
  first_ = node->next;
  size_.store(size_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  return node;
}

}  // namespace sloth
