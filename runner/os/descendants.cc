#include "runner/os/descendants.h"

#include <fmt/format.h>
#include <poll.h>
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

constexpr std::size_t kCommandBytes = 200;
constexpr std::size_t kMostNamed = 50;
constexpr std::size_t kShown = 5;
constexpr int kRoundMs = 20;

void add_tree(pid_t pid, std::vector<pid_t>& tree, std::unordered_set<pid_t>& seen) {
  if (!seen.insert(pid).second) return;
  tree.push_back(pid);
  for (const pid_t child : children_of(pid)) add_tree(child, tree, seen);
}

bool reap(pid_t child) {
  siginfo_t info{};
  int result = 0;
  do {
    result = ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG);
  } while (result != 0 && errno == EINTR);
  return result == 0 && info.si_pid != 0;
}

// Until any has ended, or a short time is over.
void wait_for_ends(const std::vector<Descriptor>& dying) {
  std::vector<pollfd> waiting;
  waiting.reserve(dying.size());
  for (const Descriptor& process : dying) waiting.push_back({process.get(), POLLIN, 0});
  ::poll(waiting.data(), waiting.size(), kRoundMs);
}

bool have_no_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

}  // namespace

std::string names_of(const std::vector<ProcessInfo>& processes) {
  std::string text;
  for (std::size_t i = 0; i < std::min(processes.size(), kShown); ++i) {
    text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", processes[i].pid, processes[i].command);
  }
  if (processes.size() > kShown) text += fmt::format(" and {} more", processes.size() - kShown);
  return text;
}

EndedDescendants end_descendants(Duration patience, const std::function<bool(pid_t)>& chosen) {
  EndedDescendants result;
  if (have_no_children()) return result;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  std::unordered_set<pid_t> named;
  for (;;) {
    std::vector<pid_t> tree;
    std::unordered_set<pid_t> seen;
    std::vector<pid_t> children;
    for (const pid_t child : children_of(::getpid())) {
      if (chosen && !chosen(child)) continue;
      children.push_back(child);
      add_tree(child, tree, seen);
    }
    if (children.empty() && (chosen || have_no_children())) return result;

    std::vector<Descriptor> dying;
    std::vector<ProcessInfo> living;
    for (const pid_t pid : tree) {
      Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
      const auto record = process_record(pid);
      if (!process.open() || !record || !record->living) continue;
      // A number that was given anew meanwhile is not one of ours.
      if (record->parent != ::getpid() && !seen.contains(record->parent)) continue;
      if (named.size() < kMostNamed && named.insert(pid).second) {
        result.ended.push_back({pid, process_command(pid, kCommandBytes)});
      }
      living.push_back({pid, {}});
      if (::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) == 0)
        dying.push_back(std::move(process));
    }
    const auto reaped = std::count_if(children.begin(), children.end(), reap);
    if (std::chrono::steady_clock::now() >= deadline && !living.empty()) {
      for (ProcessInfo& process : living) {
        process.command = process_command(process.pid, kCommandBytes);
        std::erase_if(result.ended, [&](const ProcessInfo& other) { return other.pid == process.pid; });
      }
      result.left = std::move(living);
      return result;
    }
    if (reaped == 0) wait_for_ends(dying);
  }
}

}  // namespace sloth
