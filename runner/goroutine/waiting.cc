// Waiting and waking: queues, timers, deliveries from other threads, cancellation points.
#include <utility>

#include "runner/base/check.h"
#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"
#include "runner/goroutine/natives.h"
#include "runner/goroutine/scheduler_impl.h"
#include "runner/lua/prelude.h"
#include "runner/lua/stack.h"

namespace sloth {

void Scheduler::Impl::before_wait(lua_State* at) {
  SLOTH_CHECK(current != nullptr);
  if (current->cancelled) raise_cancel(at, *current);
  if (lua_isyieldable(at) == 0) {
    raise(
        at,
        "cannot wait here: inside a table.sort comparator, a string.gsub callback or another function called "
        "from C; collect what is needed first, then wait outside");
  }
}

// Once with the reason, so that cleanup runs; a second wait during cleanup means that it does not end by
// itself.
void Scheduler::Impl::raise_cancel(lua_State* at, Goroutine& g) {
  if (g.cancel_raised) {
    g.cancel_forced = true;
    vm.arm_interrupt();
  } else {
    g.cancel_raised = true;
    g.timer.kind = TimerNode::Kind::kCleanup;
    add_timer(g.timer, now_ms() + kCleanupMs);
  }
  push(at, *g.cancel_reason);
  lua_error(at);
  __builtin_unreachable();
}

int Scheduler::Impl::suspend_now(lua_State* at, Goroutine::State state, const char* what, int values) {
  Goroutine& g = *current;
  g.state = state;
  g.waits_for = what;
  g.nested = at != g.coroutine;
  if (!g.nested) return lua_yield(at, values);
  SLOTH_CHECK(values == 0);
  lua_pushlightuserdata(at, park_mark());
  return lua_yield(at, 1);
}

int Scheduler::Impl::suspend_native(lua_State* at, const char* what, UniqueFunction<void(Waker)> begin,
                                    Job cancel) {
  before_wait(at);
  Goroutine& g = *current;
  g.cancel_native = std::make_unique<Job>(std::move(cancel));
  ++native_waits_;
  begin(Waker(std::make_shared<WakeCell>(inbox, &g)));
  return suspend_now(at, Goroutine::State::kNative, what);
}

// The scheduler's clock ticks in milliseconds; a wait ends at the first tick that is not too early.
void Scheduler::Impl::start_timer(Goroutine& g, Duration delay) {
  const auto due = options.clock->now().time_since_epoch() + delay;
  g.timer.kind = TimerNode::Kind::kWake;
  add_timer(g.timer, (due.count() + 999'999) / 1'000'000);
}

void Scheduler::Impl::add_timer(TimerNode& node, std::int64_t due) {
  timers_.add(node, due);
  if (due < armed_for_) arm_wakeup();
}

// Armed as soon as a moment is known, not only when idle: running code must be interrupted then.
void Scheduler::Impl::arm_wakeup() {
  armed_for_ = timers_.earliest();
  const TimePoint when{std::chrono::milliseconds(armed_for_)};
  strand.executor().reactor().post_at(when, [inbox = inbox] { inbox->interrupt(); });
}

void Scheduler::Impl::fire_timers() {
  if (timers_.empty()) return;
  const std::int64_t now = now_ms();
  if (now >= armed_for_) armed_for_ = kNever;
  while (TimerNode* node = timers_.take_due(now)) {
    if (node->kind == TimerNode::Kind::kRootDeadline) {
      Root& root = *static_cast<Root*>(node->owner);
      root.timed_out = true;
      cancel_tree(*root.main, "timeout exceeded");
      continue;
    }
    Goroutine& g = *static_cast<Goroutine*>(node->owner);
    if (node->kind == TimerNode::Kind::kGrace) {
      g.cancel_due = true;
    } else if (node->kind == TimerNode::Kind::kCleanup) {
      g.cancel_forced = &g == current;
    } else if (g.state == Goroutine::State::kInLimit) {
      cancel_tree(*g.limited, "timeout exceeded", true);
    } else {
      const bool sleeping = g.state == Goroutine::State::kSleeping;
      unlink(g);
      lua_pushboolean(g.coroutine, 1);
      g.arguments = 1;
      if (!sleeping) {
        push_timed_out(g.coroutine);
        g.arguments = 2;
      }
      make_ready(g);
    }
  }
  if (!timers_.empty() && timers_.earliest() < armed_for_) arm_wakeup();
}

void Scheduler::Impl::take_deliveries() {
  for (auto& [root, reason] : inbox->take_cancels()) cancel_root(root, reason);
  for (WakeInbox::Delivery& delivery : inbox->take()) {
    Goroutine& g = *delivery.goroutine;
    SLOTH_CHECK(g.state == Goroutine::State::kNative);
    --native_waits_;
    g.cancel_native.reset();
    lua_State* co = g.coroutine;
    const int before = lua_gettop(co);
    lua_pushboolean(co, delivery.ok ? 1 : 0);
    delivery.push(co);
    g.arguments = lua_gettop(co) - before;
    make_ready(g);
  }
}

void Scheduler::Impl::drop_value(Goroutine& g, Waiter& waiter) {
  if (!std::exchange(waiter.has_value, false)) return;
  if (waiter.value_ref != LUA_NOREF) {
    luaL_unref(L, LUA_REGISTRYINDEX, std::exchange(waiter.value_ref, LUA_NOREF));
  } else {
    lua_pop(g.coroutine, 1);
  }
}

void Scheduler::Impl::unlink(Goroutine& g) {
  timers_.remove(g.timer);
  if (g.state == Goroutine::State::kInLimit) {
    g.limited->limited_waits = nullptr;
    g.limited = nullptr;
    return;
  }
  if (g.state != Goroutine::State::kInQueue) return;
  if (g.select_size == 0) {
    if (g.waiter.queue != nullptr) g.waiter.queue->remove(g.waiter);
    drop_value(g, g.waiter);
    return;
  }
  for (int i = 0; i < g.select_size; ++i) {
    Waiter& waiter = g.select_waiters[static_cast<std::size_t>(i)];
    if (waiter.queue != nullptr) waiter.queue->remove(waiter);
    drop_value(g, waiter);
  }
  g.select_waiters.reset();
  g.select_size = 0;
}

void Scheduler::Impl::make_ready(Goroutine& g) {
  g.state = Goroutine::State::kReady;
  ready_.push(&g);
}

void Scheduler::Impl::wake(Goroutine& g, const Waiter& waiter, lua_State* from, int count) {
  const int select_case = waiter.select_case;  // unlink may free the waiter
  unlink(g);
  lua_State* co = g.coroutine;
  lua_pushboolean(co, 1);
  if (select_case > 0) lua_pushinteger(co, select_case);
  lua_checkstack(co, count + 2);
  lua_xmove(from, co, count);
  g.arguments = 1 + (select_case > 0 ? 1 : 0) + count;
  make_ready(g);
}

bool Scheduler::Impl::wake_first(WaitQueue& queue, lua_State* from, int count) {
  if (queue.first == nullptr) return false;
  wake(*queue.first->goroutine, *queue.first, from, count);
  return true;
}

bool Scheduler::Impl::take_value(WaitQueue& queue, lua_State* to) {
  if (queue.first == nullptr) return false;
  Waiter& waiter = *queue.first;
  Goroutine& g = *waiter.goroutine;
  SLOTH_CHECK(waiter.has_value);
  waiter.has_value = false;
  if (waiter.value_ref != LUA_NOREF) {
    lua_rawgeti(to, LUA_REGISTRYINDEX, waiter.value_ref);
    luaL_unref(to, LUA_REGISTRYINDEX, std::exchange(waiter.value_ref, LUA_NOREF));
  } else {
    lua_xmove(g.coroutine, to, 1);
  }
  wake(g, waiter, to, 0);
  return true;
}

// Between two instructions of running code: deadlines and cancels are looked at, and take effect on the spot.
bool Scheduler::Impl::on_interrupt(void* context, lua_State* at) {
  Impl& impl = *static_cast<Impl*>(context);
  impl.inbox->heard();
  if (impl.current == nullptr) return false;
  // The hook runs under the memory limit of user code; what the scheduler needs must not fail.
  impl.vm.memory().enforce(false);
  for (auto& [root, reason] : impl.inbox->take_cancels()) impl.cancel_root(root, reason);
  impl.fire_timers();
  impl.vm.memory().enforce(true);
  Goroutine& g = *impl.current;
  if (!g.cancelled) return false;
  if (g.cancel_forced) {
    push(at, *g.cancel_reason);
    lua_error(at);
  }
  if (g.cancel_raised || !g.cancel_due) return false;
  impl.vm.disarm_interrupt();
  impl.raise_cancel(at, g);
}

}  // namespace sloth
