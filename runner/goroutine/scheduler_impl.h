// Scheduler::Impl: the loop, waiting and waking, the tree of goroutines, and its end.
//
// Strand-confined: call only on its strand. One class over several files: scheduler.cc (life, roots, the
// loop), waiting.cc (park, wake, timers), tree.cc (spawn, end, cancel), report.cc (deadlocks, leaks, errors
// nobody awaited).
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runner/goroutine/goroutine.h"
#include "runner/goroutine/ready_queue.h"
#include "runner/goroutine/root.h"
#include "runner/goroutine/scheduler.h"
#include "runner/goroutine/timers.h"
#include "runner/goroutine/wake_cell.h"

namespace sloth {

class Scheduler::Impl final : public WakeInbox::Runnable {
 public:
  Impl(Scheduler& self, Vm& vm, const Strand& strand, Options options);
  ~Impl() override;

  static Impl& of(lua_State* L) { return *Scheduler::of(L).impl_; }

  // --- scheduler.cc
  void run_turn() override;
  void interrupt() override { vm.interrupt(); }
  bool runs_code() override { return vm.runs_code(); }
  void unresponsive() override {
    if (options.unresponsive) options.unresponsive();
  }
  RootId start_root(RootOptions options, Push push, RootDone done);
  void cancel_root(RootId id, const std::string& reason);
  [[nodiscard]] std::int64_t now_ms() const;

  // --- tree.cc
  enum class Kind { kSpawn, kAsync, kLimited };
  // The function and its arguments are on top of L (nargs of them) and are popped; pushes the handle, but for
  // kLimited. Raises at the root's limit.
  Goroutine* spawn(lua_State* L, int nargs, Kind kind);
  void cancel_tree(Goroutine& top, const std::string& reason, bool limit_passed = false);
  void finish(Goroutine& g, int status);
  // Pushes on `to`: ok, values... or false, error of an ended handle at `index` of L.
  static int push_result(lua_State* L, int index, const Handle& handle, lua_State* to);

  // --- waiting.cc
  // Before any wait: raises when impossible here, or when the goroutine is cancelled.
  void before_wait(lua_State* L);
  // The rest of a wait: the caller returns what this returns. `values` on top of L wait with it.
  int suspend_now(lua_State* L, Goroutine::State state, const char* what, int values = 0);
  int suspend_native(lua_State* L, const char* what, UniqueFunction<void(Waker)> begin, Job cancel);
  void start_timer(Goroutine& g, Duration delay);
  void add_timer(TimerNode& node, std::int64_t due);
  // Takes a goroutine out of every queue and timer it waits in.
  void unlink(Goroutine& g);
  // Puts an unlinked one at the end of the ready queue.
  void make_ready(Goroutine& g);
  // The same for the running one, whose state suspend_now sets.
  void add_ready(Goroutine& g) { ready_.push(&g); }
  // The first waiter gets true, the case when it selects, and `count` values from the top of L, which are
  // popped. False: nobody waits, and nothing is popped.
  bool wake_first(WaitQueue& queue, lua_State* L, int count);
  void wake(Goroutine& g, const Waiter& waiter, lua_State* L, int count);
  // Pushes on L the value that the first waiting sender brought, and wakes it. False: none waits.
  bool take_value(WaitQueue& queue, lua_State* L);
  void fire_timers();
  void take_deliveries();
  [[noreturn]] void raise_cancel(lua_State* L, Goroutine& g);
  static bool on_interrupt(void* self, lua_State* L);

  // --- report.cc
  // True: something was made ready or ended, so the loop goes on.
  bool resolve_stuck();
  std::string waiting_text(const Root& root) const;
  std::string describe(const Goroutine& g) const;
  // The handle, whose environment holds the error, is at `handle_index` of L.
  void record_error(Goroutine& g, int handle_index);
  void show_errors(Root& root);
  void log_failure(const Goroutine& g, const Vm::Failure& failure);

  Scheduler& self;
  Vm& vm;
  lua_State* const L;
  const Options options;
  Strand strand;
  std::shared_ptr<WakeInbox> inbox;
  Goroutine* current = nullptr;
  RootId running_root = 0;
  std::unordered_map<RootId, std::unique_ptr<Root>> roots;
  Stats stats;
  int on_root_end = LUA_NOREF;  // Lua: root id -> list of warnings, list of failures

 private:
  friend class Scheduler;
  void resume(Goroutine& g);
  void begin_run(Goroutine& g);
  void take_coroutine(Goroutine& g);
  void release_coroutine(Goroutine& g, bool reusable);
  void end_root(Root& root);
  void ask_root_end(Root& root, RootOutcome& outcome);
  void link(Goroutine& parent, Goroutine& child);
  void unlink_from_parent(Goroutine& g);
  void after_end(Goroutine& g);
  void remove(Goroutine* g);
  void take_slot(Goroutine& g);
  // Pops a value from the top of `at` into the slot; pushes one from it and empties it.
  void keep_in_slot(lua_State* at, int slot);
  void fetch_from_slot(lua_State* at, int slot);
  void settle_handle(Goroutine& g, lua_State* co, bool ok, int values);
  void deliver_limited(Goroutine& body, lua_State* co, bool ok, int count);
  std::unique_ptr<Goroutine> make_goroutine();
  void drop_value(Goroutine& g, Waiter& waiter);
  void arm_wakeup();

  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t kGraceMs = 10;
  static constexpr std::int64_t kCleanupMs = 100;
  static constexpr std::size_t kKeptCoroutines = 1024;

  struct Coroutine {
    lua_State* state;
    int ref;
  };
  ReadyQueue ready_;
  Timers timers_;
  std::int64_t armed_for_ = kNever;
  std::size_t native_waits_ = 0;
  std::vector<Coroutine> spare_coroutines_;
  std::vector<std::unique_ptr<Goroutine>> spare_goroutines_;
  int coroutines_ref_ = LUA_NOREF;  // ref table that anchors coroutines
  int slots_ref_ = LUA_NOREF;       // table: slot -> function not run yet, slot + 1 -> handle
  int next_slot_ = 1;
  std::vector<int> free_slots_;
  std::uint64_t next_number_ = 1;
  RootId next_root_ = 1;
};

}  // namespace sloth
