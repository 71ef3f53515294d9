#include "runner/os/tree_search.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace sloth {
namespace {

// How often, a millisecond apart, one asks again for the environment of a process that has none yet.
constexpr int kEnvironmentLooks = 10;

bool is_exempt(pid_t pid) { return pid <= 1 || pid == ::getpid(); }

}  // namespace

TreeSearch::TreeSearch(pid_t group, std::string_view attempt)
    : group_(group), entry_(attempt.empty() ? std::string() : fmt::format("SLOTH_ATTEMPT={}", attempt)) {}

void TreeSearch::look() {
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

void TreeSearch::look_at_environments() {
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

Holds TreeSearch::claim(pid_t child) {
  const ProcessEntry process{child, ::getpgid(child), ::getsid(child)};
  Holds holds = Holds::kNo;
  if (!entry_.empty() && !is_known_stranger(process)) {
    holds = environment_holds(child, entry_, buffer_);
    if (holds == Holds::kNo) strangers_[child] = process;
  }
  if (holds != Holds::kYes && (is_member_still(process.group) || is_member_still(process.session))) {
    holds = Holds::kYes;
  }
  if (holds == Holds::kYes) {
    members_.erase(child);  // an earlier process may have had this number
    add(child);
  }
  return holds;
}

bool TreeSearch::signal_group(int signal) const { return owns_group() && ::kill(-group_, signal) == 0; }

bool TreeSearch::in_group(const ProcessRecord& record) const {
  return group_is_ours_ && record.group == group_;
}

std::vector<ProcessRecord> TreeSearch::living() const {
  std::vector<ProcessRecord> found;
  for (const auto& [pid, start] : members_) {
    const auto record = process_record(pid);
    if (record && record->living && record->start == start) found.push_back(*record);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return found;
}

bool TreeSearch::owns_group() const {
  if (group_ <= 1 || group_ == ::getpgrp()) return false;
  const auto leader = process_record(group_);
  if (!leader || leader->parent == ::getpid()) return true;
  std::string buffer;
  return !entry_.empty() && environment_holds(group_, entry_, buffer) == Holds::kYes;
}

bool TreeSearch::is_member_still(pid_t pid) const {
  const auto member = members_.find(pid);
  if (member == members_.end()) return false;
  const auto record = process_record(pid);
  return !record || record->start == member->second;
}

bool TreeSearch::is_known_stranger(const ProcessEntry& process) const {
  const auto known = strangers_.find(process.pid);
  return known != strangers_.end() && known->second.group == process.group &&
         known->second.session == process.session;
}

void TreeSearch::judge(const ProcessEntry& process, std::vector<ProcessEntry>& unknown) {
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

void TreeSearch::add(pid_t pid) {
  if (is_exempt(pid) || is_member(pid)) return;
  // A look that finds somebody new is no proof that nobody is left: it may have ended since.
  certain_ = false;
  const auto record = process_record(pid);
  if (!record) return;
  members_.emplace(pid, record->start);
  add_children(pid);
}

void TreeSearch::add_children(pid_t pid) {
  for (const pid_t child : children_of(pid)) add(child);
}

void TreeSearch::spread() {
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

}  // namespace sloth
