#include "runner/exec/timer_queue.h"

#include <utility>

namespace sloth {

TimerQueue::Added TimerQueue::add(TimePoint when, Lane lane, Job job) {
  MutexLock lock(mutex_);
  if (closed_) return {};
  Slot slot = 0;
  if (free_.empty()) {
    slot = static_cast<Slot>(timers_.size());
    timers_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Timer& timer = timers_[slot];
  timer.job = std::move(job);
  timer.lane = lane;
  timer.live = true;
  heap_.emplace_back();
  sift_up(heap_.size() - 1, Entry{when, order_++, slot});
  return {(std::uint64_t{timer.generation} << 32) | slot, timer.at == 0};
}

bool TimerQueue::cancel(std::uint64_t id) {
  const Slot slot = static_cast<Slot>(id);
  Due removed;
  MutexLock lock(mutex_);
  if (slot >= timers_.size()) return false;
  const Timer& timer = timers_[slot];
  if (!timer.live || timer.generation != id >> 32) return false;
  removed = remove(timer.at);
  return true;
}

std::optional<TimePoint> TimerQueue::next() const {
  MutexLock lock(mutex_);
  if (heap_.empty()) return std::nullopt;
  return heap_.front().when;
}

void TimerQueue::take_due(TimePoint now, std::size_t most, std::vector<Due>& out) {
  MutexLock lock(mutex_);
  for (std::size_t i = 0; i < most && !heap_.empty() && heap_.front().when <= now; ++i) {
    out.push_back(remove(0));
  }
}

void TimerQueue::close() {
  std::vector<Timer> dropped;
  MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(timers_);
  heap_.clear();
  free_.clear();
}

void TimerQueue::place(std::size_t index, const Entry& entry) {
  heap_[index] = entry;
  timers_[entry.slot].at = index;
}

void TimerQueue::sift_up(std::size_t index, const Entry& entry) {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!entry.before(heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerQueue::sift_down(std::size_t index, const Entry& entry) {
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].before(heap_[child])) ++child;
    if (!heap_[child].before(entry)) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, entry);
}

TimerQueue::Due TimerQueue::remove(std::size_t index) {
  const Slot slot = heap_[index].slot;
  Timer& timer = timers_[slot];
  Due due{std::move(timer.job), timer.lane};
  timer.live = false;
  // 0 is left out, so that no id is ever 0.
  if (++timer.generation == 0) timer.generation = 1;
  free_.push_back(slot);
  const Entry last = heap_.back();
  heap_.pop_back();
  if (index < heap_.size()) {
    if (index > 0 && last.before(heap_[(index - 1) / 2])) {
      sift_up(index, last);
    } else {
      sift_down(index, last);
    }
  }
  return due;
}

}  // namespace sloth
