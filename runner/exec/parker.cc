#include "runner/exec/parker.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace sloth {
namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

}  // namespace

Parker::Parker(int workers) : beds_(std::make_unique<Bed[]>(static_cast<std::size_t>(workers))) {
  idle_.reserve(static_cast<std::size_t>(workers));
}

bool Parker::wake_one() {
  if (idle_count_.load() == 0) return false;
  int worker = 0;
  {
    MutexLock lock(mutex_);
    if (anyone_searching()) return true;
    if (idle_.empty()) return false;
    worker = idle_.back();
    idle_.pop_back();
    searching_.fetch_add(1);
    idle_count_.fetch_sub(1);
  }
  wake(worker);
  return true;
}

bool Parker::begin_search(int started) {
  int now = searching_.load();
  while (2 * now < started) {
    if (searching_.compare_exchange_weak(now, now + 1)) return true;
  }
  return false;
}

bool Parker::announce(int self, bool searching) {
  MutexLock lock(mutex_);
  if (!closed_) {
    idle_.push_back(self);
    idle_count_.fetch_add(1);
  }
  if (searching) searching_.fetch_sub(1);
  return !closed_;
}

void Parker::retract(int self) {
  {
    MutexLock lock(mutex_);
    const auto here = std::find(idle_.begin(), idle_.end(), self);
    if (here != idle_.end()) {
      idle_.erase(here);
      searching_.fetch_add(1);
      idle_count_.fetch_sub(1);
      return;
    }
  }
  // Somebody chose this worker in the meantime; the wake-up is under way and must not stay behind.
  park(self);
}

void Parker::park(int self) {
  std::atomic<std::uint32_t>& woken = beds_[static_cast<std::size_t>(self)].woken;
  // A signal or a stray wake-up ends the wait early; only the word counts.
  while (woken.load(std::memory_order_acquire) == 0) futex(woken, FUTEX_WAIT_PRIVATE, 0);
  woken.store(0, std::memory_order_relaxed);
}

void Parker::close() {
  std::vector<int> all;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    all.swap(idle_);
    searching_.fetch_add(static_cast<int>(all.size()));
    idle_count_.store(0);
  }
  for (const int worker : all) wake(worker);
}

void Parker::wake(int worker) {
  std::atomic<std::uint32_t>& woken = beds_[static_cast<std::size_t>(worker)].woken;
  woken.store(1, std::memory_order_release);
  futex(woken, FUTEX_WAKE_PRIVATE, 1);
}

}  // namespace sloth
