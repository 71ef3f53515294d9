#include "agent/attempt_children.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <set>

#include "runner/base/mutex.h"
#include "runner/os/descendants.h"

namespace sloth {
namespace {

constexpr std::chrono::seconds kPatience{2};

struct List {
  Mutex mutex;
  std::set<pid_t> attempts GUARDED_BY(mutex);
};

List& list() {
  static List the_list;
  return the_list;
}

// Children that are no attempts start in our own session, and nothing can come back to a session that it
// left.
bool is_orphan(pid_t child) {
  MutexLock lock(list().mutex);
  const pid_t session = ::getsid(child);
  return session >= 0 && session != ::getsid(0) && !list().attempts.contains(child);
}

}  // namespace

Launched launch_attempt(const LaunchPlan& plan) {
  MutexLock lock(list().mutex);
  Launched launched = launch(plan);
  if (launched.error == 0) list().attempts.insert(launched.pid);
  return launched;
}

AttemptDeath reap_attempt(pid_t pid, int pidfd) {
  // Under the lock: once it is reaped, its number may be the next attempt's.
  MutexLock lock(list().mutex);
  siginfo_t info{};
  int result = 0;
  do {
    result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
  } while (result != 0 && errno == EINTR);
  if (result != 0 || info.si_pid == 0) return {};
  list().attempts.erase(pid);
  if (info.si_code == CLD_EXITED) return {true, info.si_status, 0};
  return {true, 128 + info.si_status, info.si_status};
}

std::vector<ProcessInfo> end_orphans() { return end_descendants(kPatience, is_orphan).left; }

}  // namespace sloth
