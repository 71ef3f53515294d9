// Mutex, MutexLock, CondVar: the standard ones, annotated so that clang checks who holds what.
//
// Thread-safe. A field guarded by a mutex says GUARDED_BY(mutex_) and stands below it; a function
// that must be called with the lock held says REQUIRES(mutex_). No lock is held while calling out.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define SLOTH_TSA(x) __attribute__((x))
#else
#define SLOTH_TSA(x)
#endif
#define CAPABILITY(x) SLOTH_TSA(capability(x))
#define SCOPED_CAPABILITY SLOTH_TSA(scoped_lockable)
#define GUARDED_BY(x) SLOTH_TSA(guarded_by(x))
#define REQUIRES(...) SLOTH_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) SLOTH_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) SLOTH_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) SLOTH_TSA(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) SLOTH_TSA(try_acquire_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS SLOTH_TSA(no_thread_safety_analysis)

namespace sloth {

class CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }
  bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class CondVar {
 public:
  // Each wait may wake for no reason: call it in a loop over the condition.
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when `deadline` passed first.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool woken = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace sloth
