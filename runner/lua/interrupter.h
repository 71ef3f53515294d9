// Interrupter: makes running Lua code stop at its next line, also inside loops that the JIT compiled.
//
// LuaJIT's compiled loops never look at hooks, but code compiled while the VM's profiler is in line mode
// tests one byte of the VM (the hook mask) at each source line. So: an idle anchor VM starts the profiler
// once and switches its timer off; every other VM is switched to line mode without owning the profiler; a
// signal to the thread that runs it sets the mask byte and arms an instruction hook. The byte's place is
// found, and the whole trick tried, by a self-test at start; where it fails, VMs run without JIT and plain
// hooks do.
//
// One per process, made before other threads and before any Vm, destroyed after all of them. InterruptTarget
// is thread-safe in request() and running(); enter() and leave() belong to the strand.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <lua.hpp>
#include <memory>

#include "runner/base/mutex.h"

namespace sloth {

class Interrupter {
 public:
  // Blocks nothing, installs handlers for SIGPROF (LuaJIT's) and SIGURG (ours).
  Interrupter();
  ~Interrupter();
  Interrupter(const Interrupter&) = delete;
  Interrupter& operator=(const Interrupter&) = delete;

  // False: the self-test failed, so VMs must run without JIT to be interruptible.
  [[nodiscard]] bool works_with_jit() const { return mask_offset_ != 0; }

  // Switches a fresh VM's compiler to line mode. REQUIRES: before it compiled anything.
  void prepare(lua_State* L) const;

 private:
  friend class InterruptTarget;
  bool self_test();

  lua_State* anchor_ = nullptr;
  std::size_t mask_offset_ = 0;  // of the hook mask in the VM's global state; 0: unknown
};

// The running side of one VM.
class InterruptTarget {
 public:
  // `hook` is armed when an interrupt arrives.
  void bind(const Interrupter* interrupter, lua_State* L, lua_Hook hook);

  // The calling thread starts / ends running this VM's code. May nest (the inner pair does nothing).
  void enter();
  void leave();

  // Thread-safe. May be lost: ask again until the hook ran.
  void request() EXCLUDES(mutex_);
  // Between enter() and leave(). Thread-safe.
  [[nodiscard]] bool running() EXCLUDES(mutex_);

  // Puts the hook on, from a native; takes it off again. Strand only.
  void arm();
  void disarm();

  [[nodiscard]] bool bound() const { return state_ != nullptr; }

 private:
  static void on_signal(int);
  friend class Interrupter;

  const Interrupter* interrupter_ = nullptr;
  lua_State* state_ = nullptr;
  lua_Hook hook_ = nullptr;
  std::atomic<bool> requested_{false};
  int depth_ = 0;
  InterruptTarget* outer_ = nullptr;
  Mutex mutex_;
  bool running_ GUARDED_BY(mutex_) = false;
  pthread_t thread_ GUARDED_BY(mutex_) = {};
};

}  // namespace sloth
