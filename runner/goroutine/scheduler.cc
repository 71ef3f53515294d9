#include "runner/goroutine/scheduler.h"

#include <algorithm>
#include <utility>

#include "runner/base/check.h"
#include "runner/exec/executor.h"
#include "runner/goroutine/scheduler_impl.h"
#include "runner/lua/stack.h"

namespace sloth {

Scheduler::Scheduler(Vm& vm, const Strand& strand, Options options)
    : impl_(std::make_unique<Impl>(*this, vm, strand, std::move(options))) {
  vm.attach(this);
}

Scheduler::~Scheduler() { impl_->vm.attach(nullptr); }

Scheduler& Scheduler::of(lua_State* L) {
  auto* scheduler = static_cast<Scheduler*>(Vm::of(L).attachment());
  SLOTH_CHECK(scheduler != nullptr);
  return *scheduler;
}

Vm& Scheduler::vm() const { return impl_->vm; }
Executor& Scheduler::executor() const { return impl_->strand.executor(); }
const Strand& Scheduler::strand() const { return impl_->strand; }
const Clock& Scheduler::clock() const { return *impl_->options.clock; }

Scheduler::RootId Scheduler::start_root(RootOptions options, Push push, RootDone done) {
  return impl_->start_root(std::move(options), std::move(push), std::move(done));
}

Scheduler::RootId Scheduler::running_root() const { return impl_->running_root; }

void Scheduler::cancel_root(RootId root, std::string reason) {
  impl_->inbox->cancel_later(root, std::move(reason));
}

int Scheduler::suspend(lua_State* L, const char* what, UniqueFunction<void(Waker)> begin, Job cancel) {
  return impl_->suspend_native(L, what, std::move(begin), std::move(cancel));
}

int Scheduler::offload(lua_State* L, const char* what, UniqueFunction<Push()> work) {
  return suspend(
      L, what,
      [&](Waker waker) {
        executor().post_blocking([work = std::move(work), waker]() mutable { waker.resolve(work()); });
      },
      [] {});
}

void Scheduler::log(Severity severity, const std::string& text) {
  Host& host = impl_->vm.host();
  if (host.log) host.log(severity, text, Value::Map{});
}

Scheduler::Stats Scheduler::stats() const {
  Stats stats = impl_->stats;
  stats.ready = impl_->ready_.size();
  stats.waiting = stats.live - std::min(stats.live, stats.ready);
  return stats;
}

Scheduler::Impl::Impl(Scheduler& owner, Vm& of_vm, const Strand& on, Options given)
    : self(owner), vm(of_vm), L(of_vm.state()), options(std::move(given)), strand(on) {
  SLOTH_CHECK(options.clock != nullptr);
  inbox = std::make_shared<WakeInbox>(this, strand);
  lua_newtable(L);
  coroutines_ref_ = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  slots_ref_ = luaL_ref(L, LUA_REGISTRYINDEX);
  vm.on_interrupt(on_interrupt, this);
}

Scheduler::Impl::~Impl() {
  inbox->close();
  vm.on_interrupt(nullptr, nullptr);
  for (auto& [id, root] : roots) {
    // What still lives is dropped with its VM; only the records are ours.
    std::vector<Goroutine*> stack{root->main};
    while (!stack.empty()) {
      const std::unique_ptr<Goroutine> g(stack.back());
      stack.pop_back();
      for (Goroutine* child = g->first_child; child != nullptr; child = child->next_sibling)
        stack.push_back(child);
    }
  }
}

std::int64_t Scheduler::Impl::now_ms() const {
  return options.clock->now().time_since_epoch().count() / 1'000'000;
}

Scheduler::RootId Scheduler::Impl::start_root(RootOptions given, Push push, RootDone done) {
  auto owned = std::make_unique<Root>();
  Root& root = *owned;
  root.id = next_root_++;
  root.name = std::move(given.name);
  root.done = std::move(done);
  roots.emplace(root.id, std::move(owned));

  Goroutine& g = *make_goroutine().release();
  g.root = &root;
  root.main = &g;
  root.live = 1;
  ++stats.live;
  ++stats.spawned;
  take_coroutine(g);
  g.arguments = push(g.coroutine);
  g.state = Goroutine::State::kReady;
  ready_.push(&g);
  if (given.timeout > Duration::zero()) {
    root.deadline.kind = TimerNode::Kind::kRootDeadline;
    root.deadline.owner = &root;
    add_timer(root.deadline,
              (options.clock->now().time_since_epoch() + given.timeout).count() / 1'000'000 + 1);
  }
  inbox->poke();
  return root.id;
}

void Scheduler::Impl::cancel_root(RootId id, const std::string& reason) {
  const auto found = roots.find(id);
  if (found == roots.end()) return;
  Root& root = *found->second;
  if (root.cancelled || root.timed_out) return;
  root.cancelled = true;
  root.cancel_reason = reason;
  cancel_tree(*root.main, reason);
}

void Scheduler::Impl::run_turn() {
  constexpr int kTurns = 8192;  // then others on the same threads get their turn
  const Vm::Running running(vm);
  take_deliveries();
  fire_timers();
  for (int turn = 1;; ++turn) {
    Goroutine* g = ready_.pop();
    if (g == nullptr) {
      take_deliveries();
      fire_timers();
      g = ready_.pop();
      if (g == nullptr) {
        if (resolve_stuck()) continue;
        break;
      }
    }
    resume(*g);
    if ((turn & 63) != 0) continue;
    take_deliveries();
    fire_timers();
    if (turn >= kTurns && !ready_.empty()) {
      inbox->poke();
      break;
    }
  }
}

void Scheduler::Impl::take_coroutine(Goroutine& g) {
  if (!spare_coroutines_.empty()) {
    g.coroutine = spare_coroutines_.back().state;
    g.coroutine_ref = spare_coroutines_.back().ref;
    spare_coroutines_.pop_back();
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, coroutines_ref_);
  g.coroutine = lua_newthread(L);
  g.coroutine_ref = luaL_ref(L, -2);
  lua_pop(L, 1);
}

void Scheduler::Impl::release_coroutine(Goroutine& g, bool reusable) {
  if (g.coroutine == nullptr) return;
  if (reusable && spare_coroutines_.size() < kKeptCoroutines) {
    lua_settop(g.coroutine, 0);
    spare_coroutines_.push_back({g.coroutine, g.coroutine_ref});
  } else {
    lua_rawgeti(L, LUA_REGISTRYINDEX, coroutines_ref_);
    luaL_unref(L, -1, g.coroutine_ref);
    lua_pop(L, 1);
  }
  g.coroutine = nullptr;
}

void Scheduler::Impl::begin_run(Goroutine& g) {
  take_coroutine(g);
  fetch_from_slot(g.coroutine, g.slot);
}

void Scheduler::Impl::resume(Goroutine& g) {
  if (g.state == Goroutine::State::kNew) {
    begin_run(g);
  }
  if (g.cancelled && !g.cancel_raised) {
    if (lua_status(g.coroutine) != LUA_YIELD) {  // it never ran
      lua_settop(g.coroutine, 0);
      finish(g, LUA_OK);
      return;
    }
    lua_pop(g.coroutine, g.arguments);
    lua_pushboolean(g.coroutine, 0);
    push(g.coroutine, *g.cancel_reason);
    lua_pushboolean(g.coroutine, 1);
    g.arguments = 3;
    g.cancel_raised = true;
    g.timer.kind = TimerNode::Kind::kCleanup;
    add_timer(g.timer, now_ms() + kCleanupMs);
  }
  g.state = Goroutine::State::kRunning;
  current = &g;
  running_root = g.root->id;
  ++stats.switches;
  vm.memory().enforce(true);
  const int status = lua_resume(g.coroutine, std::exchange(g.arguments, 0));
  vm.memory().enforce(false);
  current = nullptr;
  if (g.cancel_forced) vm.disarm_interrupt();
  if (status != LUA_YIELD) {
    finish(g, status);
    return;
  }
  if (g.state == Goroutine::State::kRunning) {
    // coroutine.yield at a goroutine's own level: nobody would resume it.
    lua_settop(g.coroutine, 0);
    push(g.coroutine, "attempt to yield from outside a coroutine");
    finish(g, LUA_ERRRUN);
    return;
  }
  if (g.nested) lua_pop(g.coroutine, 1);      // the mark that travelled outwards
  if (g.state == Goroutine::State::kReady) {  // it only let others go first
    lua_pushboolean(g.coroutine, 1);
    g.arguments = 1;
  }
}

void Scheduler::Impl::end_root(Root& root) {
  running_root = root.id;
  show_errors(root);
  RootOutcome outcome;
  outcome.warnings = std::move(root.warnings);
  ask_root_end(root, outcome);
  for (UnawaitedError& error : root.errors) {
    if (!error.handle->observed && !error.handle->detached)
      outcome.unawaited.push_back(std::move(error.failure));
    luaL_unref(L, LUA_REGISTRYINDEX, error.handle_ref);
  }
  if (root.timed_out) {
    outcome.kind = RootOutcome::Kind::kTimedOut;
    outcome.failure.message = "timeout exceeded";
  } else if (root.cancelled) {
    outcome.kind = RootOutcome::Kind::kCancelled;
    outcome.failure.message = root.cancel_reason;
  } else if (root.raised) {
    outcome.kind = RootOutcome::Kind::kRaised;
    outcome.failure = std::move(root.failure);
  }
  timers_.remove(root.deadline);
  Goroutine& main = *root.main;
  root.done(std::move(outcome), main.coroutine, root.results);
  release_coroutine(main, !root.raised && !root.cancelled && !root.timed_out);
  roots.erase(root.id);
}

// Lua's own end-of-task checks (pools left open, failures nobody looked at).
void Scheduler::Impl::ask_root_end(Root& root, RootOutcome& outcome) {
  if (on_root_end == LUA_NOREF) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, on_root_end);
  lua_pushnumber(L, static_cast<double>(root.id));
  if (lua_pcall(L, 1, 2, 0) != 0) {
    outcome.warnings.push_back(std::string("end of task: ") + lua_tostring(L, -1));
    lua_pop(L, 1);
    return;
  }
  const auto each = [&](int list, auto&& take) {
    if (!lua_istable(L, list)) return;
    for (int i = 1; lua_rawgeti(L, list, i), lua_isstring(L, -1) != 0; ++i) {
      take(std::string(lua_tostring(L, -1)));
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  };
  const int top = lua_gettop(L);
  each(top - 1, [&](std::string text) { outcome.warnings.push_back(std::move(text)); });
  each(top, [&](std::string text) { outcome.unawaited.push_back({std::move(text), "", ""}); });
  lua_pop(L, 2);
}

}  // namespace sloth
