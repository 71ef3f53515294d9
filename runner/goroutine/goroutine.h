// Goroutine, Waiter, WaitQueue, Handle: the scheduler's own records.
//
// Strand-confined: call only on its strand. A Goroutine is owned by the scheduler from spawn until it and all
// below it have ended. A WaitQueue and a Handle live in Lua userdata, which whoever waits on them keeps
// alive.
#pragma once

#include <cstdint>
#include <lua.hpp>
#include <memory>
#include <string>

#include "runner/base/unique_function.h"

namespace sloth {

struct Goroutine;
struct Root;

// A place in one queue. A goroutine waits in one (its own) or, in a select, in several at once.
struct Waiter {
  Goroutine* goroutine = nullptr;
  struct WaitQueue* queue = nullptr;  // null: not linked
  Waiter* previous = nullptr;
  Waiter* next = nullptr;
  int select_case = 0;        // from 1 in a select, else 0
  bool has_value = false;     // a sender: its value waits with it
  int value_ref = LUA_NOREF;  // where the value is kept when not on top of the coroutine's stack
};

// Waiting goroutines, first in, first out.
struct WaitQueue {
  Waiter* first = nullptr;
  Waiter* last = nullptr;
  std::uint32_t size = 0;

  void push_back(Waiter& waiter);
  void remove(Waiter& waiter);
};

// One pending moment in time: a link in the list of its millisecond.
struct TimerNode {
  enum class Kind : std::uint8_t { kWake, kRootDeadline, kGrace, kCleanup } kind = Kind::kWake;
  bool linked = false;
  std::int64_t due = 0;  // milliseconds of the scheduler's clock
  TimerNode* previous = nullptr;
  TimerNode* next = nullptr;
  void* owner = nullptr;  // Goroutine or Root
};

// What spawn and async return, as Lua userdata. Its results stand in the userdata's environment table.
struct Handle {
  enum class State : std::uint8_t { kRunning, kSucceeded, kFailed, kCancelled };
  Goroutine* goroutine = nullptr;  // null once ended
  WaitQueue waiters;
  State state = State::kRunning;
  bool observed = false;  // somebody awaited it: its error is their business
  bool detached = false;
  std::int32_t values = 0;
};

struct Goroutine {
  enum class State : std::uint8_t {
    kNew,  // ready, never ran; its function stands in its slot
    kReady,
    kRunning,
    kInQueue,   // waits in queues, perhaps with a timer
    kSleeping,  // waits for a timer only
    kNative,    // waits for a waker
    kInLimit,   // waits for the body of its timeout
    kEnded,     // its function is over, goroutines below it live on
  };

  lua_State* coroutine = nullptr;
  int coroutine_ref = LUA_NOREF;
  int arguments = 0;  // pushed for the next resume
  State state = State::kNew;
  bool is_async = false;    // errors are shown only when nobody awaited by the end
  bool is_limited = false;  // the body of a timeout: its parent waits for it
  bool nested = false;      // waits inside a coroutine of its own
  bool cancelled = false;
  bool cancel_due = false;     // it runs on without a wait: the error may be raised anywhere
  bool cancel_raised = false;  // the error was raised once: cleanup runs
  bool cancel_forced = false;  // cleanup used up its time: every instruction raises
  bool limit_passed = false;   // cancelled because its timeout passed
  int slot = 0;                // in the table of slots; 0: none
  std::uint64_t number = 0;

  Handle* handle = nullptr;
  Root* root = nullptr;
  Goroutine* parent = nullptr;
  Goroutine* limited = nullptr;        // kInLimit: the body
  Goroutine* limited_waits = nullptr;  // a body: who waits for it
  Goroutine* first_child = nullptr;
  Goroutine* previous_sibling = nullptr;
  Goroutine* next_sibling = nullptr;

  Waiter waiter;
  std::unique_ptr<Waiter[]> select_waiters;
  int select_size = 0;
  TimerNode timer;
  const char* waits_for = "";  // static text or interned by the VM
  std::unique_ptr<Job> cancel_native;
  std::shared_ptr<const std::string> cancel_reason;
  std::string name;
};

inline void WaitQueue::push_back(Waiter& waiter) {
  waiter.queue = this;
  waiter.previous = last;
  waiter.next = nullptr;
  (last != nullptr ? last->next : first) = &waiter;
  last = &waiter;
  ++size;
}

inline void WaitQueue::remove(Waiter& waiter) {
  (waiter.previous != nullptr ? waiter.previous->next : first) = waiter.next;
  (waiter.next != nullptr ? waiter.next->previous : last) = waiter.previous;
  waiter.queue = nullptr;
  --size;
}

}  // namespace sloth
