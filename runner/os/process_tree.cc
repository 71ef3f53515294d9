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
#include <unordered_set>

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
constexpr std::size_t kCommandBytes = 200;

class TreeSearch {
 public:
  TreeSearch(pid_t group, std::string_view attempt)
      : group_(group), entry_(attempt.empty() ? std::string() : fmt::format("SLOTH_ATTEMPT={}", attempt)) {}

  // The group may be signalled as a whole: its number was not taken over by somebody else's process.
  bool owns_group() {
    if (group_ <= 1 || group_ == ::getpgrp()) return false;
    const auto leader = process_record(group_);
    return !leader || is_our_leader(*leader);
  }

  // Sends to the whole group in one step, which no fork inside it can escape.
  bool signal_group(int signal) { return owns_group() && ::kill(-group_, signal) == 0; }

  // Reads the table; after it, group_members() and others() tell who is there.
  void look() {
    ProcessTable table = process_table();
    table_ = std::move(table.records);
    certain_ = table.complete;
    const auto leader = std::find_if(table_.begin(), table_.end(), [&](const auto& r) { return r.pid == group_; });
    group_is_ours_ = group_ > 1 && group_ != ::getpgrp() && (leader == table_.end() || is_our_leader(*leader));
    spread();
  }

  // Adds those that only their environment gives away. Apart from look(), for reading an environment
  // may wait for a process that holds its memory locked.
  void look_at_environments() {
    if (entry_.empty()) return;
    for (const ProcessRecord& record : table_) {
      if (!record.living || record.kernel_thread || is_exempt(record) || is_member(record)) continue;
      const Holds holds = environment_holds(record.pid, entry_, buffer_);
      if (holds == Holds::kYes) members_.insert(record.pid);
      if (holds == Holds::kUnknown) certain_ = false;
    }
    spread();
  }

  // Those of the tree that still run.
  [[nodiscard]] std::vector<ProcessRecord> living() const {
    std::vector<ProcessRecord> found;
    std::copy_if(table_.begin(), table_.end(), std::back_inserter(found),
                 [&](const auto& record) { return record.living && !is_exempt(record) && is_member(record); });
    return found;
  }

  // No process escaped the last look by ending, having made another, while we looked.
  [[nodiscard]] bool certain() const { return certain_; }

  [[nodiscard]] bool in_group(const ProcessRecord& record) const {
    return group_is_ours_ && record.group == group_;
  }

 private:
  static bool is_exempt(const ProcessRecord& record) { return record.pid <= 1 || record.pid == ::getpid(); }

  bool is_our_leader(const ProcessRecord& leader) {
    return leader.parent == ::getpid() || (!entry_.empty() && environment_holds(leader.pid, entry_, buffer_) == Holds::kYes);
  }

  [[nodiscard]] bool is_member(const ProcessRecord& record) const { return members_.count(record.pid) != 0; }

  [[nodiscard]] bool belongs(const ProcessRecord& record) const {
    return in_group(record) || members_.count(record.parent) != 0 || members_.count(record.group) != 0 ||
           members_.count(record.session) != 0;
  }

  void spread() {
    for (bool grown = true; grown;) {
      grown = false;
      for (const ProcessRecord& record : table_) {
        if (is_exempt(record) || is_member(record) || !belongs(record)) continue;
        members_.insert(record.pid);
        grown = true;
      }
    }
  }

  const pid_t group_;
  const std::string entry_;
  bool group_is_ours_ = false;
  bool certain_ = false;
  std::vector<ProcessRecord> table_;
  // Kept from one look to the next: a process that outlives its parent is known by group and session.
  std::unordered_set<pid_t> members_;
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
  const bool group_signalled = search.signal_group(signal);
  search.look_at_environments();
  int count = 0;
  for (const ProcessRecord& record : search.living()) {
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

int reap_orphans(const std::vector<pid_t>& own) {
  int count = 0;
  for (const ProcessRecord& record : process_table().records) {
    if (record.parent != ::getpid() || record.living) continue;
    if (std::find(own.begin(), own.end(), record.pid) != own.end()) continue;
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(record.pid), &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) ++count;
  }
  return count;
}

}  // namespace sloth
