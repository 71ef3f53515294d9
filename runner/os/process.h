// Child processes: spawn with pipes; with process_tree.h, the end of a whole process tree.
//
// Thread-safe: free functions. Never fork: constant cost however large this process is (launch.h).
// Every child is the leader of its own process group and carries SLOTH_ATTEMPT=<id>, by which orphans
// are found again after they left the group; "id/part" belongs to "id" too, so that one child of an
// attempt can be told from the others. Nothing here waits: the caller watches `pidfd`.
//
//   auto child = spawn({.argv = {"/bin/sh", "-c", "make"}, .directory = dir, .attempt = id});
//   ... wait until child->pidfd is readable, then: ExitStatus end = reap(*child);
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "runner/base/result.h"
#include "runner/os/process_tree.h"

namespace sloth {

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] is looked up in the child's PATH when it has no slash
  std::string directory;          // absolute; empty: this process's own
  // The whole environment, NAME=value. Names that are empty or hold '=' or NUL are refused.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string attempt;        // value of SLOTH_ATTEMPT; empty: not set
  bool merge_stderr = false;  // stderr into the stdout pipe
  bool pipe_stdin = false;    // else /dev/null
  // Interactive: the terminal itself, no pipes. The child becomes its foreground group when this
  // process is that now (so Ctrl-C reaches the child alone), until reap().
  bool inherit_stdio = false;
};

// Descriptors are close-on-exec, non-blocking (pipes) and the caller's to close; -1 when not asked for.
struct Child {
  pid_t pid = -1;
  int pidfd = -1;
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
};

struct ExitStatus {
  int code = 0;    // exit code; 128 + signal when killed
  int signal = 0;  // 0 when it exited by itself
};

// kNotFound: "command not found: X" (shell code 127). kRefused: not executable, a directory, a bad
// interpreter (126). A script without #! is run by /bin/sh, as a shell does.
// kLimit: arguments too large (the size is named), no descriptors or processes left. kInvalid: NUL in an
// argument, bad environment name, no argv. kIo: the rest. On failure nothing was started.
Result<Child> spawn(const SpawnOptions& options);

// The status of a child whose pidfd is readable. Call once. Closes nothing. Code 255 when somebody
// else took the status.
ExitStatus reap(const Child& child);

// "SIGKILL" for 9; "signal 77" for the unknown.
std::string signal_name(int signal);

// Raises the soft limit of open descriptors to the hard one; spawn() restores the first value in children.
void raise_descriptor_limit();

// The environment of this process as pairs.
std::vector<std::pair<std::string, std::string>> current_environment();

}  // namespace sloth
