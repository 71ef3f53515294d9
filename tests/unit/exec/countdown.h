// Countdown and eventually: how the tests of this folder wait, always with a deadline.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <thread>

#include "runner/base/mutex.h"

namespace sloth::test {

inline constexpr std::chrono::seconds kPatience{60};

// Waits until done() was called `count` times.
class Countdown {
 public:
  explicit Countdown(int count) : left_(count) {}

  void done() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    --left_;
    changed_.notify_all();
  }

  // False when it took longer than anything here may.
  bool wait() EXCLUDES(mutex_) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    MutexLock lock(mutex_);
    while (left_ > 0) {
      if (!changed_.wait_until(mutex_, until) && left_ > 0) return false;
    }
    return true;
  }

  int left() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return left_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int left_ GUARDED_BY(mutex_);
};

// Keeps this thread busy that long, to shift it against others. Yielding instead would, beside other busy
// programs, cost a slice of theirs each time.
inline void spin(std::chrono::microseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
  }
}

// For states that only polling shows (a thread that has ended): true once `holds`, false after patience.
template <class Holds>
bool eventually(Holds holds) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace sloth::test
