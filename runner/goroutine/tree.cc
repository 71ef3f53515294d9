// The tree of goroutines: spawn, end, cancel.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "runner/base/check.h"
#include "runner/goroutine/natives.h"
#include "runner/goroutine/scheduler_impl.h"
#include "runner/lua/stack.h"

namespace sloth {

std::unique_ptr<Goroutine> Scheduler::Impl::make_goroutine() {
  std::unique_ptr<Goroutine> g;
  if (spare_goroutines_.empty()) {
    g = std::make_unique<Goroutine>();
  } else {
    g = std::move(spare_goroutines_.back());
    spare_goroutines_.pop_back();
    *g = Goroutine();
  }
  g->number = next_number_++;
  g->waiter.goroutine = g.get();
  g->timer.owner = g.get();
  return g;
}

void Scheduler::Impl::remove(Goroutine* g) {
  std::unique_ptr<Goroutine> owned(g);
  if (spare_goroutines_.size() < kKeptCoroutines) spare_goroutines_.push_back(std::move(owned));
}

void Scheduler::Impl::link(Goroutine& parent, Goroutine& child) {
  child.parent = &parent;
  child.previous_sibling = nullptr;
  child.next_sibling = parent.first_child;
  if (parent.first_child != nullptr) parent.first_child->previous_sibling = &child;
  parent.first_child = &child;
}

void Scheduler::Impl::unlink_from_parent(Goroutine& g) {
  if (g.parent == nullptr) return;
  (g.previous_sibling != nullptr ? g.previous_sibling->next_sibling : g.parent->first_child) = g.next_sibling;
  if (g.next_sibling != nullptr) g.next_sibling->previous_sibling = g.previous_sibling;
  g.parent = nullptr;
}

Goroutine* Scheduler::Impl::spawn(lua_State* at, int nargs, Kind kind) {
  Goroutine& parent = *current;
  Root& root = *parent.root;
  if (parent.cancelled) raise_cancel(at, parent);
  if (root.live >= options.goroutine_limit) {
    raise(at, fmt::format("too many goroutines (limit {})", options.goroutine_limit));
  }
  Handle* handle = nullptr;
  if (kind != Kind::kLimited) {
    handle = push_handle(at);
    lua_insert(at, -(nargs + 2));
  }
  // A coroutine comes with the first run, so that goroutines which wait to start cost little; arguments need
  // one now.
  Goroutine& g = *make_goroutine().release();
  if (nargs > 0) {
    take_coroutine(g);
    lua_checkstack(g.coroutine, nargs + 1);
    lua_xmove(at, g.coroutine, nargs + 1);
    g.arguments = nargs;
    g.state = Goroutine::State::kReady;
  } else {
    take_slot(g);
    keep_in_slot(at, g.slot);
    g.state = Goroutine::State::kNew;
  }
  if (handle != nullptr) {
    if (g.slot == 0) take_slot(g);
    lua_pushvalue(at, -1);
    keep_in_slot(at, g.slot + 1);
  }
  g.handle = handle;
  if (handle != nullptr) handle->goroutine = &g;
  g.root = &root;
  g.is_async = kind == Kind::kAsync;
  g.is_limited = kind == Kind::kLimited;
  link(parent, g);
  ++root.live;
  ++stats.live;
  ++stats.spawned;
  ready_.push(&g);
  return &g;
}

int Scheduler::Impl::push_result(lua_State* from, int index, const Handle& handle, lua_State* to) {
  if (handle.state == Handle::State::kSucceeded) {
    lua_pushboolean(to, 1);
    if (handle.values == 0) return 1;
    lua_checkstack(to, handle.values + 2);
    lua_getfenv(from, index);
    for (int i = 1; i <= handle.values; ++i) {
      lua_rawgeti(from, -1, i);
      if (from != to) {
        lua_xmove(from, to, 1);
      } else {
        lua_insert(to, -2);
      }
    }
    lua_pop(from, 1);
    return 1 + handle.values;
  }
  lua_pushboolean(to, 0);
  lua_getfenv(from, index);
  lua_rawgeti(from, -1, 1);
  lua_remove(from, -2);
  if (from != to) lua_xmove(from, to, 1);
  return 2;
}

// Slots come in pairs, for the function of a goroutine that never ran and for the handle of one that lives.
void Scheduler::Impl::take_slot(Goroutine& g) {
  if (free_slots_.empty()) {
    g.slot = next_slot_;
    next_slot_ += 2;
  } else {
    g.slot = free_slots_.back();
    free_slots_.pop_back();
  }
}

void Scheduler::Impl::keep_in_slot(lua_State* at, int slot) {
  lua_rawgeti(at, LUA_REGISTRYINDEX, slots_ref_);
  lua_insert(at, -2);
  lua_rawseti(at, -2, slot);
  lua_pop(at, 1);
}

void Scheduler::Impl::fetch_from_slot(lua_State* at, int slot) {
  lua_rawgeti(at, LUA_REGISTRYINDEX, slots_ref_);
  lua_rawgeti(at, -1, slot);
  lua_pushnil(at);
  lua_rawseti(at, -3, slot);
  lua_remove(at, -2);
}

// The stack of an ended coroutine: its results, or the error on top.
void Scheduler::Impl::finish(Goroutine& g, int status) {
  lua_State* co = g.coroutine;
  const bool ok = status == LUA_OK && !g.cancelled;
  if (!ok && status == LUA_OK) {  // it ended by itself while its cancel was on the way
    lua_settop(co, 0);
    push(co, *g.cancel_reason);
  }
  timers_.remove(g.timer);
  g.state = Goroutine::State::kEnded;
  --g.root->live;
  --stats.live;
  ++stats.finished;
  if (!ok) ++stats.failed;
  const int values = ok ? lua_gettop(co) : 1;

  if (g.parent == nullptr) {  // a root's own function
    Root& root = *g.root;
    root.results = values;
    if (!ok && !g.cancelled) {
      root.raised = true;
      lua_pushvalue(co, -1);
      lua_xmove(co, L, 1);
      root.failure = vm.failure_from(L, co);
      for (Goroutine* child = g.first_child; child != nullptr; child = child->next_sibling) {
        cancel_tree(*child, "the task failed");
      }
    }
    after_end(g);
    return;
  }
  if (g.is_limited) {
    if (!g.limit_passed) deliver_limited(g, co, ok, values);
  } else {
    settle_handle(g, co, ok, values);
  }
  if (g.slot != 0) free_slots_.push_back(g.slot);
  release_coroutine(g, status == LUA_OK);
  after_end(g);
}

// Results go into the handle, and to everybody who waits for them.
void Scheduler::Impl::settle_handle(Goroutine& g, lua_State* co, bool ok, int values) {
  const int top = lua_gettop(L);
  Handle& handle = *g.handle;
  fetch_from_slot(L, g.slot + 1);
  if (values > 0) {
    lua_checkstack(L, values + 4);
    lua_createtable(L, values, 0);
    lua_xmove(co, L, values);
    for (int i = values; i >= 1; --i) lua_rawseti(L, top + 2, i);
    lua_setfenv(L, top + 1);
  }
  handle.values = values;
  handle.state = ok            ? Handle::State::kSucceeded
                 : g.cancelled ? Handle::State::kCancelled
                               : Handle::State::kFailed;
  handle.goroutine = nullptr;
  if (handle.waiters.first != nullptr) handle.observed = true;
  if (handle.state == Handle::State::kFailed && !handle.observed && !handle.detached)
    record_error(g, top + 1);
  while (Waiter* waiter = handle.waiters.first) {
    wake(*waiter->goroutine, *waiter, L, push_result(L, top + 1, handle, L));
  }
  lua_settop(L, top);
}

// The body of a timeout ended in time: its parent goes on with its results at once.
void Scheduler::Impl::deliver_limited(Goroutine& body, lua_State* co, bool ok, int count) {
  Goroutine* parent = std::exchange(body.limited_waits, nullptr);
  if (parent == nullptr) return;
  timers_.remove(parent->timer);
  parent->limited = nullptr;
  lua_checkstack(parent->coroutine, count + 2);
  lua_pushboolean(parent->coroutine, 1);
  lua_pushboolean(parent->coroutine, ok ? 1 : 0);
  lua_xmove(co, parent->coroutine, count);
  parent->arguments = count + 2;
  make_ready(*parent);
}

// What to do with the goroutines below one that ended: a cancelled one and a root wait for them, others leave
// them to their parent.
void Scheduler::Impl::after_end(Goroutine& ended) {
  Goroutine* g = &ended;
  while (g != nullptr) {
    if (g->first_child != nullptr) {
      if (g->cancelled || g->parent == nullptr) return;
      while (Goroutine* child = g->first_child) {
        unlink_from_parent(*child);
        link(*g->parent, *child);
      }
    }
    Goroutine* parent = g->parent;
    if (parent == nullptr) {
      Root& root = *g->root;
      end_root(root);
      remove(g);
      return;
    }
    if (g->is_limited && g->limit_passed && g->limited_waits != nullptr) {
      Goroutine& waits = *g->limited_waits;
      waits.limited = nullptr;
      lua_pushboolean(waits.coroutine, 1);
      lua_pushboolean(waits.coroutine, 0);
      push(waits.coroutine, "timeout exceeded");
      waits.arguments = 3;
      make_ready(waits);
    }
    unlink_from_parent(*g);
    remove(g);
    g = parent->state == Goroutine::State::kEnded ? parent : nullptr;
  }
}

void Scheduler::Impl::cancel_tree(Goroutine& top, const std::string& reason, bool limit_passed) {
  const auto shared = std::make_shared<const std::string>(reason);
  top.limit_passed = top.limit_passed || limit_passed;
  std::vector<Goroutine*> stack{&top};
  while (!stack.empty()) {
    Goroutine& g = *stack.back();
    stack.pop_back();
    for (Goroutine* child = g.first_child; child != nullptr; child = child->next_sibling)
      stack.push_back(child);
    if (g.cancelled || g.state == Goroutine::State::kEnded) {
      g.cancelled = true;
      continue;
    }
    g.cancelled = true;
    g.cancel_reason = shared;
    switch (g.state) {
      case Goroutine::State::kInQueue:
      case Goroutine::State::kSleeping:
      case Goroutine::State::kInLimit:
        unlink(g);
        make_ready(g);
        break;
      case Goroutine::State::kNative:
        if (g.cancel_native != nullptr) (*g.cancel_native)();
        break;
      case Goroutine::State::kRunning:
        // Its next wait is a better place for the error than any instruction; a loop without one gets it soon
        // enough.
        g.timer.kind = TimerNode::Kind::kGrace;
        add_timer(g.timer, now_ms() + kGraceMs);
        break;
      case Goroutine::State::kNew:
      case Goroutine::State::kReady:
      case Goroutine::State::kEnded: break;
    }
  }
}

}  // namespace sloth
