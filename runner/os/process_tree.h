// The processes of one attempt: found, signalled, ended.
//
// Thread-safe: free functions. They read /proc and block for milliseconds: call them on the blocking
// lane. A process belongs to the tree when it is in the child's group, carries SLOTH_ATTEMPT=<id> or
// =<id>/part, descends from one that belongs, or is in a group or session led by one that does. This process
// and pid 1 never belong. Signals go through pidfds after a second look, so a reused pid is never hit.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace sloth {

// Sends `signal` to the child's group and to every process that carries SLOTH_ATTEMPT=`attempt` or
// descends from one that does. Returns how many processes were signalled.
int signal_tree(pid_t group, std::string_view attempt, int signal);

// SIGKILL in rounds until none is left (a process born during a round is met in the next). Gives up
// two seconds after the last new one on those that the kernel does not let go (tree_of() names them),
// and after ten on a tree that grows as fast as it is cut.
void kill_tree(pid_t group, std::string_view attempt);

struct ProcessInfo {
  pid_t pid = 0;
  std::string command;  // as in /proc/PID/cmdline, spaces between, cut at 200 bytes
};
// Living processes (zombies left out) that belong to the attempt.
std::vector<ProcessInfo> tree_of(pid_t group, std::string_view attempt);

// This process becomes the one that inherits orphans, so that they can be reaped and named. Also puts
// SIGCHLD to its default when it was ignored, which would lose the status of every child.
void become_subreaper();

// Reaps inherited orphans that have ended; returns how many. Leaves alone what reap() may be called for:
// children of spawn() lead a group in our session. An orphan that does so too (a job of an interactive shell)
// stays until this process ends. Quick when nothing has ended. Thread-safe.
int reap_orphans();

}  // namespace sloth
