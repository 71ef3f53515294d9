// What people are told: deadlocks, leaks, errors that nobody awaited.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "runner/goroutine/scheduler_impl.h"
#include "runner/lua/stack.h"

namespace sloth {
namespace {

constexpr std::size_t kMostShown = 20;

// Where the innermost function of the user's stands.
std::string position_of(lua_State* co) {
  lua_Debug frame;
  for (int level = 0; lua_getstack(co, level, &frame) != 0; ++level) {
    lua_getinfo(co, "Sl", &frame);
    if (frame.source[0] == '@') return fmt::format("{}:{}", frame.source + 1, frame.currentline);
  }
  return "a returned call (return wait(...))";  // a tail call leaves no frame behind
}

// Where the function that the goroutine runs is defined.
std::string origin_of(lua_State* co) {
  lua_Debug frame;
  std::string origin;
  for (int level = 0; lua_getstack(co, level, &frame) != 0; ++level) {
    lua_getinfo(co, "S", &frame);
    if (frame.source[0] == '@') origin = fmt::format("{}:{}", frame.source + 1, frame.linedefined);
  }
  return origin;
}

// All goroutines of a tree that wait, oldest first.
std::vector<const Goroutine*> waiting_in(const Goroutine& top) {
  std::vector<const Goroutine*> found;
  std::vector<const Goroutine*> stack{&top};
  while (!stack.empty()) {
    const Goroutine* g = stack.back();
    stack.pop_back();
    for (const Goroutine* child = g->first_child; child != nullptr; child = child->next_sibling)
      stack.push_back(child);
    if (g->state == Goroutine::State::kInQueue || g->state == Goroutine::State::kInLimit) found.push_back(g);
  }
  std::sort(found.begin(), found.end(), [](const auto* a, const auto* b) { return a->number < b->number; });
  return found;
}

}  // namespace

std::string Scheduler::Impl::describe(const Goroutine& g) const {
  const std::string origin = origin_of(g.coroutine);
  const std::string who = g.parent == nullptr ? "the main function"
                          : g.name.empty()    ? fmt::format("goroutine {}", g.number)
                                              : fmt::format("goroutine \"{}\"", g.name);
  return fmt::format("{} waits in {} at {}{}", who, g.waits_for, position_of(g.coroutine),
                     origin.empty() || g.parent == nullptr ? "" : " (function at " + origin + ")");
}

std::string Scheduler::Impl::waiting_text(const Root& root) const {
  const auto waiting = waiting_in(*root.main);
  std::string text;
  for (std::size_t i = 0; i < std::min(waiting.size(), kMostShown); ++i)
    text += "\n  " + describe(*waiting[i]);
  if (waiting.size() > kMostShown) text += fmt::format("\n  ... and {} more", waiting.size() - kMostShown);
  return text;
}

// Nothing is ready, no timer runs, no native work is under way: who waits now waits for ever. A waiting main
// function fails with that; goroutines left behind by one that returned are ended as leaks.
bool Scheduler::Impl::resolve_stuck() {
  if (native_waits_ > 0 || !timers_.empty() || !inbox->empty()) return false;
  constexpr int kMostDeadlocks = 100;  // a script that catches the error and waits again
  bool progress = false;
  std::vector<Root*> stuck;
  for (auto& [id, root] : roots) stuck.push_back(root.get());
  for (Root* root : stuck) {
    Goroutine& main = *root->main;
    if (main.state == Goroutine::State::kEnded) {
      if (main.first_child == nullptr) continue;
      if (!root->raised && !root->cancelled && !root->timed_out) {
        for (const Goroutine* g : waiting_in(main)) {
          if (root->warnings.size() == kMostShown) break;
          root->warnings.push_back(describe(*g) + "; nothing could wake it any more, so it was ended");
        }
      }
      for (Goroutine* child = main.first_child; child != nullptr; child = child->next_sibling) {
        cancel_tree(*child, "nothing could wake this goroutine any more");
      }
      progress = true;
    } else if (main.state == Goroutine::State::kInQueue || main.state == Goroutine::State::kInLimit) {
      running_root = root->id;
      show_errors(*root);
      const std::string report = "all goroutines are waiting (deadlock)" + waiting_text(*root);
      progress = true;
      if (++root->deadlocks > kMostDeadlocks) {
        cancel_tree(main, report);
        root->raised = true;
        root->failure.message = report;
        continue;
      }
      // The place of the waiting call stands in front, as for any error it raises.
      unlink(main);
      lua_pushboolean(main.coroutine, 0);
      push(main.coroutine, report);
      main.arguments = 2;
      make_ready(main);
    }
  }
  return progress;
}

void Scheduler::Impl::record_error(Goroutine& g, int handle_index) {
  UnawaitedError error;
  lua_getfenv(L, handle_index);
  lua_rawgeti(L, -1, 1);
  lua_remove(L, -2);
  error.failure = vm.failure_from(L, g.coroutine);
  const std::string origin = origin_of(g.coroutine);
  if (!origin.empty()) error.failure.traceback += "in a goroutine whose function is at " + origin + "\n";
  error.handle = g.handle;
  lua_pushvalue(L, handle_index);
  error.handle_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  if (!g.is_async) {
    log_failure(g, error.failure);
    error.shown = true;
  }
  g.root->errors.push_back(std::move(error));
}

void Scheduler::Impl::log_failure(const Goroutine& g, const Vm::Failure& failure) {
  const std::string who = g.name.empty() ? "goroutine" : fmt::format("goroutine \"{}\"", g.name);
  self.log(Severity::kError, fmt::format("{} failed: {}\n{}", who, failure.message, failure.traceback));
}

// Errors of asyncs that nobody awaited become visible at the latest now.
void Scheduler::Impl::show_errors(Root& root) {
  for (UnawaitedError& error : root.errors) {
    if (error.shown || error.handle->observed || error.handle->detached) continue;
    error.shown = true;
    self.log(Severity::kError, fmt::format("goroutine failed and nobody awaited it: {}\n{}",
                                           error.failure.message, error.failure.traceback));
  }
}

}  // namespace sloth
