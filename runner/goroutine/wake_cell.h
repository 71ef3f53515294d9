// WakeInbox: where other threads leave what a scheduler must do; WakeCell: one waker's right to leave one
// delivery.
//
// Thread-safe, but for take(), take_cancels(), run_turn() and close(), which belong to the strand. Shared by
// the scheduler and every waker, so that a waker may come too late without harm.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/exec/strand.h"
#include "runner/goroutine/waker.h"

namespace sloth {

struct Goroutine;
class WakeInbox;

class WakeCell {
 public:
  WakeCell(std::shared_ptr<WakeInbox> to, Goroutine* which) : inbox(std::move(to)), goroutine(which) {}

  const std::shared_ptr<WakeInbox> inbox;
  Goroutine* const goroutine;
  bool used = false;  // guarded by the inbox's mutex
};

class WakeInbox : public std::enable_shared_from_this<WakeInbox> {
 public:
  // What runs on the strand.
  class Runnable {
   public:
    virtual ~Runnable() = default;
    virtual void run_turn() = 0;
    // Thread-safe:
    virtual void interrupt() = 0;
    [[nodiscard]] virtual bool runs_code() = 0;  // a thread is inside the VM now
    virtual void unresponsive() = 0;
  };
  struct Delivery {
    Goroutine* goroutine;
    bool ok;
    Push push;
  };

  WakeInbox(Runnable* scheduler, const Strand& strand) : strand_(strand), scheduler_(scheduler) {}

  void deliver(WakeCell& cell, bool ok, Push push) EXCLUDES(mutex_);
  // Has a turn run soon.
  void poke() EXCLUDES(mutex_);
  // Has running Lua code, or else a turn, look at its deadlines and cancels; asks again until it was heard,
  // since a single interrupt may be lost.
  void interrupt() EXCLUDES(mutex_);
  // It was heard.
  void heard() EXCLUDES(mutex_);
  void cancel_later(std::uint64_t root, std::string reason) EXCLUDES(mutex_);

  std::vector<Delivery> take() EXCLUDES(mutex_);
  std::vector<std::pair<std::uint64_t, std::string>> take_cancels() EXCLUDES(mutex_);
  bool empty() EXCLUDES(mutex_);
  void close() EXCLUDES(mutex_);

 private:
  void post_turn(const Strand& strand);
  void run_turn() EXCLUDES(mutex_);
  void ask() EXCLUDES(mutex_);

  const Strand strand_;
  Mutex mutex_;
  Runnable* scheduler_ GUARDED_BY(mutex_);
  bool scheduled_ GUARDED_BY(mutex_) = false;
  bool unheard_ GUARDED_BY(mutex_) = false;
  bool asking_ GUARDED_BY(mutex_) = false;  // ask() comes again by itself
  int vain_asks_ GUARDED_BY(mutex_) = 0;    // in a row, of code that runs
  std::vector<Delivery> deliveries_ GUARDED_BY(mutex_);
  std::vector<std::pair<std::uint64_t, std::string>> cancels_ GUARDED_BY(mutex_);
};

}  // namespace sloth
