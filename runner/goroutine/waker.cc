#include "runner/goroutine/waker.h"

#include <chrono>
#include <utility>

#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"
#include "runner/goroutine/wake_cell.h"
#include "runner/lua/stack.h"
#include "runner/lua/value_codec.h"

namespace sloth {

void Waker::wake(bool ok, Push push) const {
  if (cell_ != nullptr) cell_->inbox->deliver(*cell_, ok, std::move(push));
}

void Waker::resolve(Push push) const { wake(true, std::move(push)); }

void Waker::resolve(Value::List values) const {
  wake(true, [values = std::move(values)](lua_State* L) {
    for (const Value& value : values) push_value(L, value);
    return static_cast<int>(values.size());
  });
}

void Waker::refuse(std::string message) const {
  wake(true, [message = std::move(message)](lua_State* L) { return sloth::fail(L, message); });
}

void Waker::fail(std::string message) const {
  wake(false, [message = std::move(message)](lua_State* L) {
    push(L, message);
    return 1;
  });
}

void WakeInbox::deliver(WakeCell& cell, bool ok, Push push) {
  std::optional<Strand> strand;
  {
    MutexLock lock(mutex_);
    if (cell.used || scheduler_ == nullptr) return;
    cell.used = true;
    deliveries_.push_back({cell.goroutine, ok, std::move(push)});
    if (!std::exchange(scheduled_, true)) strand.emplace(strand_);
  }
  if (strand) post_turn(*strand);
}

void WakeInbox::poke() {
  std::optional<Strand> strand;
  {
    MutexLock lock(mutex_);
    if (scheduler_ == nullptr || std::exchange(scheduled_, true)) return;
    strand.emplace(strand_);
  }
  post_turn(*strand);
}

void WakeInbox::post_turn(const Strand& strand) {
  strand.post([self = shared_from_this()] { self->run_turn(); });
}

void WakeInbox::run_turn() {
  Runnable* scheduler = nullptr;
  {
    MutexLock lock(mutex_);
    scheduled_ = unheard_ = false;
    scheduler = scheduler_;
  }
  // Closing happens on this same strand, so it cannot vanish now.
  if (scheduler != nullptr) scheduler->run_turn();
}

std::vector<WakeInbox::Delivery> WakeInbox::take() {
  MutexLock lock(mutex_);
  return std::exchange(deliveries_, {});
}

bool WakeInbox::empty() {
  MutexLock lock(mutex_);
  return deliveries_.empty();
}

void WakeInbox::interrupt() {
  bool first = false;
  {
    MutexLock lock(mutex_);
    if (scheduler_ == nullptr || std::exchange(unheard_, true)) return;
    vain_asks_ = 0;
    first = !std::exchange(asking_, true);
    if (!first) scheduler_->interrupt();
  }
  if (first) ask();
  poke();
}

void WakeInbox::ask() {
  constexpr auto kPatience = std::chrono::milliseconds(5);
  // Counted, not timed, so that a machine or process that stood still for a while does not count.
  constexpr int kUnresponsive = 400;
  constexpr int kRepeat = 50;
  {
    MutexLock lock(mutex_);
    if (scheduler_ == nullptr || !unheard_) {
      asking_ = false;
      return;
    }
    scheduler_->interrupt();
    if (!scheduler_->runs_code()) {
      vain_asks_ = 0;
    } else if (++vain_asks_ >= kUnresponsive && vain_asks_ % kRepeat == 0) {
      scheduler_->unresponsive();
    }
  }
  strand_.executor().reactor().post_at(std::chrono::steady_clock::now() + kPatience,
                                       [self = shared_from_this()] { self->ask(); });
}

void WakeInbox::heard() {
  MutexLock lock(mutex_);
  unheard_ = false;
}

void WakeInbox::cancel_later(std::uint64_t root, std::string reason) {
  {
    MutexLock lock(mutex_);
    if (scheduler_ == nullptr) return;
    cancels_.emplace_back(root, std::move(reason));
  }
  interrupt();
}

std::vector<std::pair<std::uint64_t, std::string>> WakeInbox::take_cancels() {
  MutexLock lock(mutex_);
  return std::exchange(cancels_, {});
}

void WakeInbox::close() {
  std::vector<Delivery> dropped;
  MutexLock lock(mutex_);
  scheduler_ = nullptr;
  dropped.swap(deliveries_);
}

}  // namespace sloth
