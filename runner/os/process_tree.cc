#include "runner/os/process_tree.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "runner/os/descriptor.h"
#include "runner/os/process_table.h"

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
// How often, a millisecond apart, one asks again for the environment of a process that has none yet.
constexpr int kEnvironmentLooks = 10;
constexpr std::size_t kCommandBytes = 200;

class TreeSearch {
 public:
  TreeSearch(pid_t group, std::string_view attempt)
      : group_(group), entry_(attempt.empty() ? std::string() : fmt::format("SLOTH_ATTEMPT={}", attempt)) {}

  // Who is there now, and who of them belongs by group, session or parent.
  void look() {
    ProcessList list = list_processes();
    entries_ = std::move(list.entries);
    certain_ = list.complete;
    group_is_ours_ = owns_group();
    const auto known = members_;
    for (const auto& [pid, start] : known) {
      const auto record = process_record(pid);
      if (record && record->start != start) {
        members_.erase(pid);
      } else if (record) {
        add_children(pid);
      }
    }
    spread();
  }

  // Adds those that only their environment gives away. Apart from look(), for reading an environment
  // may wait for a process that holds its memory locked.
  void look_at_environments() {
    if (entry_.empty()) return;
    std::vector<ProcessEntry> unknown;
    for (const ProcessEntry& process : entries_) {
      if (!is_exempt(process.pid) && !is_member(process.pid) && !is_known_stranger(process)) {
        judge(process, unknown);
      }
    }
    // Between two programs a process has no environment for a moment.
    for (int again = 0; again < kEnvironmentLooks && !unknown.empty(); ++again) {
      ::poll(nullptr, 0, 1);
      for (const ProcessEntry& process : std::exchange(unknown, {})) judge(process, unknown);
    }
    if (!unknown.empty()) certain_ = false;
    spread();
  }

  // Sends to the whole group in one step, which no fork inside it can escape.
  bool signal_group(int signal) const { return owns_group() && ::kill(-group_, signal) == 0; }

  [[nodiscard]] bool in_group(const ProcessRecord& record) const {
    return group_is_ours_ && record.group == group_;
  }

  // Those of the tree that still run.
  [[nodiscard]] std::vector<ProcessRecord> living() const {
    std::vector<ProcessRecord> found;
    for (const auto& [pid, start] : members_) {
      const auto record = process_record(pid);
      if (record && record->living && record->start == start) found.push_back(*record);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
    return found;
  }

  // No process escaped the last look by ending, having made another, while we looked.
  [[nodiscard]] bool certain() const { return certain_; }

 private:
  static bool is_exempt(pid_t pid) { return pid <= 1 || pid == ::getpid(); }

  // Its number was not taken over by a group of somebody else's.
  [[nodiscard]] bool owns_group() const {
    if (group_ <= 1 || group_ == ::getpgrp()) return false;
    const auto leader = process_record(group_);
    if (!leader || leader->parent == ::getpid()) return true;
    std::string buffer;
    return !entry_.empty() && environment_holds(group_, entry_, buffer) == Holds::kYes;
  }

  [[nodiscard]] bool is_member(pid_t pid) const { return members_.count(pid) != 0; }

  // A process that did not carry the entry does not come to carry it later.
  [[nodiscard]] bool is_known_stranger(const ProcessEntry& process) const {
    const auto known = strangers_.find(process.pid);
    return known != strangers_.end() && known->second.group == process.group &&
           known->second.session == process.session;
  }

  void judge(const ProcessEntry& process, std::vector<ProcessEntry>& unknown) {
    switch (environment_holds(process.pid, entry_, buffer_)) {
      case Holds::kYes: add(process.pid); break;
      case Holds::kNo: strangers_[process.pid] = process; break;
      case Holds::kUnknown: {
        const auto record = process_record(process.pid);
        if (record && record->living) {
          unknown.push_back(process);
        } else if (!record || ended_.insert(process.pid).second) {
          certain_ = false;
        }
        break;
      }
    }
  }

  void add(pid_t pid) {
    if (is_exempt(pid) || is_member(pid)) return;
    // A look that finds somebody new is no proof that nobody is left: it may have ended since.
    certain_ = false;
    const auto record = process_record(pid);
    if (!record) return;
    members_.emplace(pid, record->start);
    add_children(pid);
  }

  void add_children(pid_t pid) {
    for (const pid_t child : children_of(pid)) add(child);
  }

  void spread() {
    for (std::size_t before = members_.size() + 1; before != members_.size();) {
      before = members_.size();
      for (const ProcessEntry& process : entries_) {
        if ((group_is_ours_ && process.group == group_) || is_member(process.group) ||
            is_member(process.session)) {
          add(process.pid);
        }
      }
    }
  }

  const pid_t group_;
  const std::string entry_;
  bool group_is_ours_ = false;
  bool certain_ = false;
  std::vector<ProcessEntry> entries_;
  // With their starts. Kept from one look to the next, also when they have ended: a process that
  // outlives its parent is known by group and session, and a number in use there is not given anew.
  std::unordered_map<pid_t, std::uint64_t> members_;
  std::unordered_map<pid_t, ProcessEntry> strangers_;
  // Zombies met before: what they left behind was listed in the looks since.
  std::unordered_set<pid_t> ended_;
  std::string buffer_;
};

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
  const auto last_resort = SteadyClock::now() + kLongestHunt;
  auto deadline = SteadyClock::now() + kPatience;
  std::unordered_set<pid_t> killed;
  int uncertain_looks = 0;
  for (bool first = true;; first = false) {
    search.look();
    // Not before the first look: once a parent is dead nobody knows whose child a process was.
    if (first) search.signal_group(SIGKILL);
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
    const pid_t group = ::getpgid(child);
    if (group <= 0 || (group == child && ::getsid(child) == session)) continue;
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) ++count;
  }
  return count;
}

}  // namespace sloth
