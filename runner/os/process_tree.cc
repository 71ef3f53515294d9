#include "runner/os/process_tree.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "runner/os/descriptor.h"
#include "runner/os/process_table.h"
#include "runner/os/tree_search.h"

namespace sloth {
namespace {

using SteadyClock = std::chrono::steady_clock;

// How long we wait for processes that the kernel does not let go, when no others turn up.
constexpr std::chrono::milliseconds kPatience{2000};
// How long we race against a tree that grows as fast as it is cut.
constexpr std::chrono::milliseconds kLongestHunt{10'000};
constexpr std::chrono::milliseconds kRoundTime{20};
// Looks that find nobody but are uncertain, before we believe them: on a busy machine, some process of
// somebody else's ends during every look.
constexpr int kUncertainLooks = 10;
constexpr std::size_t kCommandBytes = 200;

// The pidfd of the very process of the record; closed when it is gone.
Descriptor open_process(const ProcessRecord& record) {
  // By number: the header of glibc 2.36 declares the wrappers without C linkage.
  Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, record.pid, 0)));
  if (process.open()) {
    const auto now = process_record(record.pid);
    if (!now || now->start != record.start) process.reset();
  }
  return process;
}

bool send(const Descriptor& process, int signal) {
  return process.open() && ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0;
}

// Until all have ended, or `deadline`.
void wait_for_ends(const std::vector<Descriptor>& processes, SteadyClock::time_point deadline) {
  std::vector<pollfd> waiting;
  for (const Descriptor& process : processes) waiting.push_back(pollfd{process.get(), POLLIN, 0});
  while (!waiting.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
    if (left.count() <= 0) return;
    const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) return;
    if (ready > 0) std::erase_if(waiting, [](const pollfd& entry) { return entry.revents != 0; });
  }
}

// A child of this process that is nobody's to wait for: reap() is for those that lead a group in our session.
bool is_orphan(pid_t child, pid_t session) {
  const pid_t group = ::getpgid(child);
  return group > 0 && (group != child || ::getsid(child) != session);
}

bool reap_ended(pid_t child) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0;
}

bool inherits_orphans() {
  int answer = 0;
  return ::prctl(PR_GET_CHILD_SUBREAPER, &answer, 0, 0, 0) == 0 && answer != 0;
}

// Ends those of the tree that have become children of this process. A look at these few costs a hundredth of
// a look at all processes, so it overtakes a chain whose processes each make the next one and end: every one
// of them comes to us when the one before it ends.
class OrphanHunt {
 public:
  explicit OrphanHunt(TreeSearch& search) : search_(search) {}

  // Until a look finds no living one and nobody that ended since the look before (which may have left
  // another). Gives up at `last`, and when the kernel does not let go of those that were killed.
  void run(SteadyClock::time_point last) {
    if (!inherits_orphans()) return;
    auto patience = SteadyClock::now() + kRoundTime;
    for (;;) {
      const Look found = look();
      const auto now = SteadyClock::now();
      if (found == Look::kNobody || now >= last) return;
      if (found == Look::kNews) {
        patience = now + kRoundTime;
      } else if (now >= patience) {
        return;
      } else {
        ::sched_yield();
      }
    }
  }

 private:
  enum class Look { kNobody, kWaiting, kNews };
  enum class Stage { kRuns, kEnded, kNotOurs };

  static Stage stage_of(idtype_t type, int id) {
    siginfo_t info{};
    if (::waitid(type, static_cast<id_t>(id), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
      return Stage::kNotOurs;
    return info.si_pid == 0 ? Stage::kRuns : Stage::kEnded;
  }

  Look look() {
    Look found = Look::kNobody;
    for (const pid_t child : orphans_of(::getpid())) found = std::max(found, meet(child));
    return found;
  }

  Look meet(pid_t child) {
    const Stage stage = stage_of(P_PID, child);
    if (stage == Stage::kNotOurs) return Look::kNews;  // another thread has just reaped it
    if (stage == Stage::kEnded) {
      dying_.erase(child);
      const bool reaped = is_orphan(child, session_) && reap_ended(child);
      return reaped || ended_.insert(child).second ? Look::kNews : Look::kNobody;
    }
    ended_.erase(child);
    const auto killed = dying_.find(child);
    if (killed != dying_.end()) {
      if (stage_of(P_PIDFD, killed->second.get()) != Stage::kNotOurs) return Look::kWaiting;
      dying_.erase(killed);
    }

    Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    const Holds belongs = search_.claim(child);
    if (belongs == Holds::kNo) return Look::kNobody;
    if (belongs == Holds::kUnknown) return Look::kWaiting;
    // Not reaped until now, so that all the time the number was that of this one process.
    if (process.open() && stage_of(P_PIDFD, process.get()) == Stage::kRuns && send(process, SIGKILL)) {
      dying_.emplace(child, std::move(process));
    }
    return Look::kNews;
  }

  TreeSearch& search_;
  const pid_t session_ = ::getsid(0);
  std::unordered_map<pid_t, Descriptor> dying_;
  // Met as zombies that are not ours to reap.
  std::unordered_set<pid_t> ended_;
};

}  // namespace

int signal_tree(pid_t group, std::string_view attempt, int signal) {
  TreeSearch search(group, attempt);
  search.look();
  // Counted before the signal, which ends some of them at once.
  std::vector<ProcessRecord> tree = search.living();
  const bool group_signalled = search.signal_group(signal);
  search.look_at_environments();
  for (const ProcessRecord& record : search.living()) {
    const auto same = [&](const ProcessRecord& other) { return other.pid == record.pid; };
    if (std::none_of(tree.begin(), tree.end(), same)) tree.push_back(record);
  }

  int count = 0;
  for (const ProcessRecord& record : tree) {
    bool reached = group_signalled && search.in_group(record);
    if (reached) {
      // It may have left for a session of its own before the group was signalled.
      const auto now = process_record(record.pid);
      reached = !now || now->start != record.start || search.in_group(*now);
    }
    if (reached || send(open_process(record), signal)) ++count;
  }
  return count;
}

void kill_tree(pid_t group, std::string_view attempt) {
  TreeSearch search(group, attempt);
  OrphanHunt orphans(search);
  const auto last_resort = SteadyClock::now() + kLongestHunt;
  auto deadline = SteadyClock::now() + kPatience;
  std::unordered_set<pid_t> killed;
  int uncertain_looks = 0;
  for (bool first = true;; first = false) {
    search.look();
    // Not before the first look: once a parent is dead nobody knows whose child a process was.
    if (first) search.signal_group(SIGKILL);
    orphans.run(last_resort);
    search.look_at_environments();
    std::vector<Descriptor> dying;
    for (const ProcessRecord& record : search.living()) {
      Descriptor process = open_process(record);
      if (!send(process, SIGKILL)) continue;
      dying.push_back(std::move(process));
      if (killed.insert(record.pid).second) deadline = SteadyClock::now() + kPatience;
    }
    const auto now = SteadyClock::now();
    if (now >= std::min(deadline, last_resort)) return;
    if (!dying.empty()) {
      uncertain_looks = 0;
      wait_for_ends(dying, std::min(deadline, now + kRoundTime));
    } else if (!first && (search.certain() || ++uncertain_looks == kUncertainLooks)) {
      return;
    }
  }
}

std::vector<ProcessInfo> tree_of(pid_t group, std::string_view attempt) {
  TreeSearch search(group, attempt);
  search.look();
  search.look_at_environments();
  std::vector<ProcessInfo> tree;
  for (const ProcessRecord& record : search.living()) {
    tree.push_back(ProcessInfo{record.pid, process_command(record.pid, kCommandBytes)});
  }
  return tree;
}

void become_subreaper() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  struct sigaction current {};
  if (::sigaction(SIGCHLD, nullptr, &current) == 0 && current.sa_handler == SIG_IGN) {
    ::signal(SIGCHLD, SIG_DFL);
  }
}

int reap_orphans() {
  siginfo_t any{};
  if (::waitid(P_ALL, 0, &any, WEXITED | WNOHANG | WNOWAIT) != 0 || any.si_pid == 0) return 0;
  int count = 0;
  const pid_t session = ::getsid(0);
  for (const pid_t child : children_of(::getpid())) {
    if (is_orphan(child, session) && reap_ended(child)) ++count;
  }
  return count;
}

}  // namespace sloth
