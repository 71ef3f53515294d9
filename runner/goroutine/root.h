// Root: one tree of goroutines that C++ started: a task's command, a hook, a file.
//
// Strand-confined: call only on its strand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runner/goroutine/goroutine.h"
#include "runner/goroutine/scheduler.h"

namespace sloth {

// An error that nobody had awaited when it happened. The handle is kept alive by `ref`, to see at the end.
struct UnawaitedError {
  Vm::Failure failure;
  Handle* handle = nullptr;
  int handle_ref = LUA_NOREF;
  bool shown = false;
};

struct Root {
  Scheduler::RootId id = 0;
  std::string name;
  Goroutine* main = nullptr;
  Scheduler::RootDone done;
  TimerNode deadline;
  std::size_t live = 0;  // goroutines that have not ended
  bool raised = false;   // the main function ended with an error
  bool timed_out = false;
  bool cancelled = false;
  int deadlocks = 0;
  int results = 0;
  Vm::Failure failure;
  std::string cancel_reason;
  std::vector<std::string> warnings;
  std::vector<UnawaitedError> errors;
};

}  // namespace sloth
