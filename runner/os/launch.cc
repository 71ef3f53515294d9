#include "runner/os/launch.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>

// Between clone and exec two processes share one memory: nothing there may touch the bookkeeping of a
// sanitizer, of libc's wrappers or of a library that intercepts them. Hence no instrumentation and
// bare system calls.
#if defined(__clang__)
#define SLOTH_BARE __attribute__((disable_sanitizer_instrumentation))
#else
#define SLOTH_BARE __attribute__((no_sanitize("address", "thread", "undefined")))
#endif

// glibc's own name for clone(): ThreadSanitizer replaces clone() by a version that takes every child for
// a fork with memory of its own.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);  // NOLINT

namespace sloth {
namespace {

constexpr long kSignalBytes = 8;  // of the kernel's signal set, not glibc's
constexpr int kSignals = 64;

struct Handover {
  const LaunchPlan* plan;
  LaunchStep step;
  int error;
};

constexpr int kFirstHanded = 3;

// False with errno set.
SLOTH_BARE bool hand_over(const LaunchPlan& plan) {
  // First out of the way, or one target could be another one's source.
  int apart[LaunchPlan::kMostHanded];
  const int end = kFirstHanded + static_cast<int>(plan.handed_count);
  for (std::size_t i = 0; i < plan.handed_count; ++i) {
    apart[i] = static_cast<int>(::syscall(SYS_fcntl, plan.handed[i], F_DUPFD, end));
    if (apart[i] < 0) return false;
  }
  for (std::size_t i = 0; i < plan.handed_count; ++i) {
    if (::syscall(SYS_dup3, apart[i], kFirstHanded + static_cast<int>(i), 0) < 0) return false;
  }
  return ::syscall(SYS_close_range, end, ~0U, 0) == 0;
}

// Returns when a step failed, with errno set.
SLOTH_BARE void become_program(Handover& handover) {
  const LaunchPlan& plan = *handover.plan;

  handover.step = LaunchStep::kGroup;
  if ((plan.new_session ? ::syscall(SYS_setsid) : ::syscall(SYS_setpgid, 0, 0)) < 0) return;

  handover.step = LaunchStep::kTerminal;
  if (plan.take_terminal) {
    const pid_t group = static_cast<pid_t>(::syscall(SYS_getpid));
    if (::syscall(SYS_ioctl, STDIN_FILENO, TIOCSPGRP, &group) != 0) return;
  }

  handover.step = LaunchStep::kStdio;
  for (int target = 0; target < 3; ++target) {
    if (plan.stdio[target] >= 0 && ::syscall(SYS_dup3, plan.stdio[target], target, 0) < 0) return;
  }

  if (plan.handed != nullptr && !hand_over(plan)) return;

  handover.step = LaunchStep::kLimit;
  if (plan.descriptor_limit != nullptr &&
      ::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, plan.descriptor_limit, nullptr) != 0) {
    return;
  }

  handover.step = LaunchStep::kDirectory;
  if (plan.directory != nullptr && ::syscall(SYS_chdir, plan.directory) != 0) return;

  // Zeros are SIG_DFL with no flags in every layout of the kernel's struct. Our handlers must be gone
  // before the mask opens, or one of them would run on memory that is still the parent's.
  static constexpr std::uint64_t kZeros[8] = {};
  for (int signal = 1; signal <= kSignals; ++signal) {
    ::syscall(SYS_rt_sigaction, signal, kZeros, nullptr, kSignalBytes);
  }
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, kZeros, nullptr, kSignalBytes);

  handover.step = LaunchStep::kProgram;
  ::syscall(SYS_execve, plan.program, plan.arguments, plan.environment);
}

SLOTH_BARE int child_main(void* argument) {
  Handover& handover = *static_cast<Handover*>(argument);
  become_program(handover);
  handover.error = errno;
  ::syscall(SYS_exit_group, 127);
  return 127;
}

}  // namespace

Launched launch(const LaunchPlan& plan) {
  Handover handover{&plan, LaunchStep::kProcess, 0};
  // On our own stack: the calling thread sleeps until the child is done with it.
  alignas(64) std::byte stack[32 * 1024];

  // All of them, also the two that glibc hides from sigprocmask: no handler may run in the child.
  const std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t before = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, kSignalBytes);
  Launched launched;
  launched.pid = ::__clone(child_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                           &handover, &launched.pidfd);
  if (launched.pid < 0) handover.error = errno;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, kSignalBytes);

  if (handover.error == 0) return launched;
  if (launched.pid > 0) {
    while (::waitpid(launched.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    ::close(launched.pidfd);
  }
  return Launched{-1, -1, handover.error, handover.step};
}

}  // namespace sloth
