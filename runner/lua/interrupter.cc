#include "runner/lua/interrupter.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include <cstdint>
#include <cstring>

#include "runner/base/check.h"
#include "runner/base/log.h"
#include "runner/exec/thread.h"

extern "C" {
#include <luajit.h>
}

namespace sloth {
namespace {

// The profiler's bit in the VM's hook mask: what compiled code in line mode tests.
constexpr unsigned char kProfileBit = 0x80;
constexpr int kSignal = kInterruptSignal;

// The VM whose code this thread runs now. Written by the thread itself, read in its signal handler.
thread_local InterruptTarget* volatile running_target = nullptr;

void ignore_sample(void*, lua_State*, int, int) {}

// A reference to the VM's global state follows the 16 bytes of a coroutine's object header (GC64).
unsigned char* global_state_of(lua_State* L) {
  unsigned char* global = nullptr;
  std::memcpy(&global, reinterpret_cast<const unsigned char*>(L) + 16, sizeof(global));
  return global;
}

void count_hook(lua_State*, lua_Debug*) {}

// The one byte of the global state that follows lua_sethook's mask; 0 when it is not found for certain.
std::size_t find_mask_offset(lua_State* L) {
  constexpr std::size_t kSearched = 1024;  // the global state is about twice as large
  constexpr int kMasks[] = {LUA_MASKCOUNT, LUA_MASKLINE, LUA_MASKCALL | LUA_MASKRET,
                            LUA_MASKCOUNT | LUA_MASKLINE};
  const unsigned char* global = global_state_of(L);
  bool candidate[kSearched];
  std::memset(candidate, 1, sizeof(candidate));
  for (const int mask : kMasks) {
    lua_sethook(L, count_hook, mask, 1000000);
    for (std::size_t i = 0; i < kSearched; ++i) candidate[i] = candidate[i] && global[i] == mask;
  }
  lua_sethook(L, nullptr, 0, 0);
  std::size_t found = 0;
  for (std::size_t i = 0; i < kSearched; ++i) {
    if (!candidate[i] || global[i] != 0) continue;
    if (found != 0) return 0;
    found = i;
  }
  return found;
}

void raise_from_hook(lua_State* L, lua_Debug*) { luaL_error(L, "interrupted"); }

}  // namespace

Interrupter::Interrupter() {
  anchor_ = luaL_newstate();
  SLOTH_CHECK(anchor_ != nullptr);
  luaJIT_profile_start(anchor_, "li1000000000", ignore_sample, nullptr);
  // The timer itself is not wanted: it would cost a signal a second and the resolution of os.clock.
  const itimerval off{};
  setitimer(ITIMER_PROF, &off, nullptr);

  struct sigaction action {};
  action.sa_handler = InterruptTarget::on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(kSignal, &action, nullptr);

  mask_offset_ = find_mask_offset(anchor_);
  // A single signal may hit the VM in the middle of its own change of mode and be lost; users of request()
  // ask again.
  constexpr int kTries = 5;
  bool works = false;
  for (int i = 0; mask_offset_ != 0 && !works && i < kTries; ++i) works = self_test();
  if (!works) mask_offset_ = 0;
  if (mask_offset_ == 0)
    log_warn("this LuaJIT build cannot stop compiled loops; running without its compiler");
}

Interrupter::~Interrupter() { lua_close(anchor_); }

void Interrupter::prepare(lua_State* L) const {
  if (works_with_jit()) luaJIT_profile_start(L, "l", ignore_sample, nullptr);
}

// A loop that the JIT compiles within microseconds is hit by a signal a little later. Without the trick it
// would run all its rounds (about ten milliseconds) and end without an error.
bool Interrupter::self_test() {
  lua_State* L = luaL_newstate();
  SLOTH_CHECK(L != nullptr);
  luaL_openlibs(L);
  prepare(L);
  InterruptTarget target;
  target.bind(this, L, raise_from_hook);
  target.enter();
  target.requested_.store(true, std::memory_order_relaxed);

  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;  // the only thread is this one
  event.sigev_signo = kSignal;
  timer_t timer{};
  SLOTH_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  const itimerspec soon{{0, 0}, {0, 100'000}};
  timer_settime(timer, 0, &soon, nullptr);
  const bool raised = luaL_dostring(L, "local n = 0\nfor i = 1, 2e7 do\n  n = n + i\nend") != 0;
  timer_delete(timer);

  target.disarm();
  target.leave();
  lua_close(L);
  return raised;
}

void InterruptTarget::bind(const Interrupter* interrupter, lua_State* L, lua_Hook hook) {
  interrupter_ = interrupter;
  state_ = L;
  hook_ = hook;
}

void InterruptTarget::enter() {
  if (depth_++ > 0) return;
  outer_ = running_target;
  {
    MutexLock lock(mutex_);
    running_ = true;
    thread_ = pthread_self();
  }
  running_target = this;
}

void InterruptTarget::leave() {
  if (--depth_ > 0) return;
  running_target = outer_;
  MutexLock lock(mutex_);
  running_ = false;
}

void InterruptTarget::request() {
  if (!bound()) return;
  requested_.store(true, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  // Held while the signal is sent, so that the thread still exists.
  if (running_) pthread_kill(thread_, kSignal);
}

bool InterruptTarget::running() {
  MutexLock lock(mutex_);
  return running_;
}

void InterruptTarget::arm() {
  if (state_ != nullptr) lua_sethook(state_, hook_, LUA_MASKCOUNT, 1);
}

void InterruptTarget::disarm() {
  if (state_ != nullptr) lua_sethook(state_, nullptr, 0, 0);
}

// Only what is async-signal-safe: plain stores into the VM, as LuaJIT's own profiler does on this thread.
void InterruptTarget::on_signal(int) {
  InterruptTarget* target = running_target;
  if (target == nullptr || !target->requested_.exchange(false, std::memory_order_relaxed)) return;
  if (target->interrupter_ != nullptr && target->interrupter_->mask_offset_ != 0) {
    unsigned char* mask = global_state_of(target->state_) + target->interrupter_->mask_offset_;
    *mask = static_cast<unsigned char>(*mask | kProfileBit);
  }
  lua_sethook(target->state_, target->hook_, LUA_MASKCOUNT, 1);
}

}  // namespace sloth
