// TimerQueue: jobs that wait for a time, the earliest first; those of the same time in order of arrival.
//
// Thread-safe. A heap that knows where each timer stands in it, so adding and cancelling are
// O(log n); no allocation per timer. It only keeps: the reactor's thread sleeps until next() and
// takes what is due. Jobs are never destroyed under its lock.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/mutex.h"
#include "runner/base/unique_function.h"

namespace sloth {

class TimerQueue {
 public:
  enum class Lane : std::uint8_t { kCpu, kReactor };  // where the job is to run

  struct Added {
    std::uint64_t id = 0;   // 0: closed, and the job is destroyed
    bool earliest = false;  // the sleeper sleeps too long now
  };
  struct Due {
    Job job;
    Lane lane = Lane::kCpu;
  };

  // An id that no timer has: of one that was due before it could be added.
  static constexpr std::uint64_t kNeverQueued = ~std::uint64_t{0};

  Added add(TimePoint when, Lane lane, Job job) EXCLUDES(mutex_);

  // True: it was still here, and is destroyed.
  bool cancel(std::uint64_t id) EXCLUDES(mutex_);

  // When the earliest is due.
  [[nodiscard]] std::optional<TimePoint> next() const EXCLUDES(mutex_);

  // Moves the timers due at `now` to the end of `out`, earliest first, at most `most`.
  void take_due(TimePoint now, std::size_t most, std::vector<Due>& out) EXCLUDES(mutex_);

  // Destroys all and refuses more.
  void close() EXCLUDES(mutex_);

 private:
  using Slot = std::uint32_t;

  struct Entry {  // in the heap
    TimePoint when;
    std::uint64_t order = 0;
    Slot slot = 0;
    [[nodiscard]] bool before(const Entry& other) const {
      return when != other.when ? when < other.when : order < other.order;
    }
  };
  struct Timer {  // stays in its slot while it lives
    Job job;
    std::size_t at = 0;            // index in the heap
    std::uint32_t generation = 1;  // counts the lives of the slot, so that an old id finds nobody
    Lane lane = Lane::kCpu;
    bool live = false;
  };

  void place(std::size_t index, const Entry& entry) REQUIRES(mutex_);
  void sift_up(std::size_t index, const Entry& entry) REQUIRES(mutex_);
  void sift_down(std::size_t index, const Entry& entry) REQUIRES(mutex_);
  Due remove(std::size_t index) REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<Entry> heap_ GUARDED_BY(mutex_);
  std::vector<Timer> timers_ GUARDED_BY(mutex_);
  std::vector<Slot> free_ GUARDED_BY(mutex_);
  std::uint64_t order_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace sloth
