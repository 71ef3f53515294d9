// Parker: where workers that find nothing to do sleep, such that no job is forgotten.
//
// Thread-safe. A worker is busy, searching, or idle. Whoever adds a job and sees nobody searching
// wakes one idle worker; the one woken is searching from that moment on, so the next posts leave it
// at that. Nobody is woken when nobody is idle: a post then reads two counters and that is all.
//
// Going to sleep has two phases: announce, look at every queue once more, park.
//
// Why no job is forgotten. Say worker W parks while the job J, whose poster P woke nobody, lies in a
// queue. W announced before its last look at that queue, and W did not see J, so P's push came after
// that look (push and empty are totally ordered, see work_queue.h), and P read the counters after
// its push: it saw W's announcement. It woke nobody, so it saw somebody else searching, S. S had not
// announced then, so S will look at every queue after J was pushed: either S takes J; or S takes
// another job, and then, being the last searcher, looks for more work and wakes one for it; or it is
// not the last one, and the same holds for that one. Or P saw nobody idle, as W had been woken by
// another poster since: then W searches, and looks at every queue again before it sleeps. The counters change
// in the order that never lets a worker look busy in between (idle +1, then searching -1; searching +1, then
// idle -1).
//
// At most half the workers search at the same time: a search costs a core (Go's scheduler and Tokio
// set the same bound).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "runner/base/mutex.h"

namespace sloth {

class Parker {
 public:
  // For workers 0 to `workers` - 1, all busy.
  explicit Parker(int workers);

  // --- for whoever added a job

  [[nodiscard]] bool anyone_searching() const { return searching_.load() != 0; }

  // Wakes one idle worker, unless somebody searches by now. False: nobody is idle, all are busy.
  bool wake_one() EXCLUDES(mutex_);

  // A worker that is being started counts as searching.
  void add_searcher() { searching_.fetch_add(1); }

  // --- for worker `self`, itself

  // Busy to searching; false, and still busy, when half of `started` do that already.
  bool begin_search(int started);

  // Searching to busy. True: it was the last one, so look whether there is more work and wake_one().
  bool end_search() { return searching_.fetch_sub(1) == 1; }

  // Phase one: to idle, from searching or from busy. False once closed: now busy, never to sleep.
  bool announce(int self, bool searching) EXCLUDES(mutex_);

  // The last look found something: idle to searching.
  void retract(int self) EXCLUDES(mutex_);

  // Phase two: sleeps until woken; then searching.
  void park(int self);

  // Wakes all, and lets nobody sleep from now on.
  void close() EXCLUDES(mutex_);

 private:
  struct alignas(64) Bed {
    std::atomic<std::uint32_t> woken{0};
  };

  void wake(int worker);

  std::atomic<int> searching_{0};
  std::atomic<int> idle_count_{0};
  std::unique_ptr<Bed[]> beds_;
  Mutex mutex_;
  std::vector<int> idle_ GUARDED_BY(mutex_);  // the last to lie down is the first to be woken: warmest
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace sloth
