// Which children of this process are attempts. All others in sessions of their own are what dead attempts
// left: orphans come to this process when their attempt, itself a home of orphans, has died.
//
// Thread-safe. A list for the whole process, because its children are the whole process's: two hosts must not
// take each other's attempts for orphans.
#pragma once

#include <sys/types.h>

#include <vector>

#include "runner/os/launch.h"
#include "runner/os/process_tree.h"

namespace sloth {

// launch(), and the child is on the list before anybody can look.
Launched launch_attempt(const LaunchPlan& plan);

struct AttemptDeath {
  bool known = false;  // false: no child of ours, or somebody else took its status
  int code = 0;
  int signal = 0;  // 0: it exited with `code`
};
// The status of an attempt whose pidfd is readable; takes it off the list.
AttemptDeath reap_attempt(pid_t pid, int pidfd);

// Kills and reaps the orphans of dead attempts. Blocks for milliseconds, for seconds where the kernel does
// not let one go. Returns those that are left.
std::vector<ProcessInfo> end_orphans();

}  // namespace sloth
