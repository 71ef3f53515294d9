// Scheduler: goroutines of one VM as coroutines on one strand.
//
// Strand-confined: call only on its strand, except where a function says otherwise. Control changes only
// where a call waits; ready goroutines run first in, first out.
//
// Goroutines form a tree: a root (started by C++: a task's command, a hook, a file) and what it spawned. A
// root ends when its function and every goroutine below it have ended. Cancel ends a goroutine and all below
// it.
//
//   int my_native(lua_State* L) {           // a native with `waits`
//     auto request = read_arguments(L);
//     return Scheduler::of(L).suspend(L, "http.get",
//         [&](Waker waker) { start(request, waker); },    // at once, on the strand
//         [=] { request->cancel(); });                     // when cancelled; must lead to a wake soon
//   }
#pragma once

#include <cstdint>
#include <functional>
#include <lua.hpp>
#include <memory>
#include <string>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/unique_function.h"
#include "runner/exec/strand.h"
#include "runner/goroutine/waker.h"
#include "runner/lua/vm.h"

namespace sloth {

// How a root ended.
struct RootOutcome {
  enum class Kind { kReturned, kRaised, kCancelled, kTimedOut } kind = Kind::kReturned;
  Vm::Failure failure;                // kRaised; kCancelled and kTimedOut: the reason as message
  std::vector<std::string> warnings;  // leaks, unclosed pools: one line each
  // Errors of goroutines that nobody awaited, shown already: they make a root that returned fail.
  std::vector<Vm::Failure> unawaited;
};

class Scheduler {
 public:
  struct Options {
    std::size_t goroutine_limit = 1'000'000;  // per root
    const Clock* clock = nullptr;             // required; outlives the scheduler
    // Running code has not heard of a deadline or cancel for two seconds: it is inside one long call of C
    // code, which nothing can interrupt. Called every quarter second from then on, on any thread and under a
    // lock: only post.
    std::function<void()> unresponsive{};  // may be empty
  };

  // Both outlive the scheduler. Sets the VM's interrupt hook and attachment. Made before modules are
  // installed.
  Scheduler(Vm& vm, const Strand& strand, Options options);
  // Destroying it drops what is suspended; wakers that come later do nothing.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  static Scheduler& of(lua_State* L);

  [[nodiscard]] Vm& vm() const;
  [[nodiscard]] Executor& executor() const;
  // For work that must come back to the VM from another thread. Thread-safe.
  [[nodiscard]] const Strand& strand() const;
  [[nodiscard]] const Clock& clock() const;

  using RootId = std::uint64_t;
  struct RootOptions {
    std::string name;    // for reports: `task "build"`
    Duration timeout{};  // zero: none
  };
  // Starts a root. `push` pushes a function and its arguments and returns the number of arguments; `done`
  // gets the outcome and, when it returned, a state whose stack holds `results` values on top. Both run on
  // the strand; `done` may destroy nothing of the scheduler itself: post that.
  using RootDone = UniqueFunction<void(RootOutcome outcome, lua_State* L, int results)>;
  RootId start_root(RootOptions options, Push push, RootDone done);

  // The root whose code runs, or ran last: on its behalf the VM's host is told something. 0 before the first.
  [[nodiscard]] RootId running_root() const;

  // Cancels a root and all below it; `done` follows when all are gone. Unknown id: nothing. Thread-safe.
  void cancel_root(RootId root, std::string reason);

  // For natives that wait: `return suspend(...)`. `what` names the call in reports. `begin` runs at once and
  // gets the waker. `cancel` runs on the strand when the goroutine is cancelled: it must lead to a wake soon,
  // whose result is dropped; the goroutine goes on (with the error) only then. Raises when waiting is
  // impossible here (inside table.sort, string.gsub callbacks).
  int suspend(lua_State* L, const char* what, UniqueFunction<void(Waker)> begin, Job cancel);

  // Runs `work` on the blocking lane and resumes with what its Push pushes. Cannot be cut short.
  int offload(lua_State* L, const char* what, UniqueFunction<Push()> work);

  // A line to the host's log.
  void log(Severity severity, const std::string& text);

  struct Stats {
    std::uint64_t spawned = 0, finished = 0, failed = 0, switches = 0;
    std::size_t live = 0, ready = 0, waiting = 0;
  };
  [[nodiscard]] Stats stats() const;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace sloth
