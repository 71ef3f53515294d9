// launch(): starts a program with the cost of vfork and says which step failed.
//
// Thread-safe: one function. Like posix_spawn the child borrows this process's memory until it runs
// the new program, so the cost does not grow with our size. Beyond posix_spawn it sets a resource
// limit and the terminal in the child itself (no moment with the wrong one), names the step that
// failed, and gets the pidfd with the process.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>

namespace sloth {

struct LaunchPlan {
  const char* program = nullptr;             // path; not searched
  const char* const* arguments = nullptr;    // null-terminated
  const char* const* environment = nullptr;  // null-terminated, NAME=value
  const char* directory = nullptr;           // null: ours
  // What becomes descriptors 0, 1 and 2: -1 keeps ours. REQUIRES: -1 or at least 3.
  int stdio[3] = {-1, -1, -1};
  // What becomes 3, 4 ... in this order; then everything else is closed, whatever its flags. Null:
  // descriptors without close-on-exec are inherited. REQUIRES: each at least 3, at most kMostHanded of them.
  static constexpr std::size_t kMostHanded = 8;
  const int* handed = nullptr;
  std::size_t handed_count = 0;
  // A session of its own, so no terminal, instead of a group of its own.
  bool new_session = false;
  // The child's group becomes the foreground group of the terminal at descriptor 0.
  bool take_terminal = false;
  const rlimit* descriptor_limit = nullptr;  // RLIMIT_NOFILE of the child; null: ours
};

enum class LaunchStep { kProcess, kGroup, kTerminal, kStdio, kLimit, kDirectory, kProgram };

struct Launched {
  pid_t pid = -1;
  int pidfd = -1;  // close-on-exec, the caller's to close
  int error = 0;   // errno of the step that failed; then nothing was started
  LaunchStep step = LaunchStep::kProcess;
};

// The child leads its own process group (or session), with an empty signal mask and default dispositions.
Launched launch(const LaunchPlan& plan);

}  // namespace sloth
