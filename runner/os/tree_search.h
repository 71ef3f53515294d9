// Which processes belong to an attempt: one search that is repeated until nobody is left.
//
// Not shared: one thread at a time. What it has learned is kept from one look to the next, so that a process
// that outlives its parent is still known by its group and session.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runner/os/process_table.h"

namespace sloth {

class TreeSearch {
 public:
  // The group of the attempt's first child, 0 for none; the attempt's id, "" for none.
  TreeSearch(pid_t group, std::string_view attempt);

  // Who is there now, and who of them belongs by group, session or parent.
  void look();
  // Adds those that only their environment gives away. Apart from look(), for reading an environment may wait
  // for a process that holds its memory locked.
  void look_at_environments();
  // Whether this living child of ours belongs; its own children are noted then, for they lose it as their
  // parent soon. A few system calls, unlike a look. kUnknown when it is between two programs.
  Holds claim(pid_t child);

  // Sends to the whole group in one step, which no fork inside it can escape.
  bool signal_group(int signal) const;
  [[nodiscard]] bool in_group(const ProcessRecord& record) const;
  // Those of the tree that still run, in rising order of pid.
  [[nodiscard]] std::vector<ProcessRecord> living() const;
  // No process escaped the last look by ending, having made another, while we looked.
  [[nodiscard]] bool certain() const { return certain_; }

 private:
  // Its number was not taken over by a group of somebody else's.
  [[nodiscard]] bool owns_group() const;
  [[nodiscard]] bool is_member(pid_t pid) const { return members_.count(pid) != 0; }
  // Leads, or led, a group or session with this number.
  [[nodiscard]] bool is_member_still(pid_t pid) const;
  // A process that did not carry the entry does not come to carry it later.
  [[nodiscard]] bool is_known_stranger(const ProcessEntry& process) const;
  void judge(const ProcessEntry& process, std::vector<ProcessEntry>& unknown);
  void add(pid_t pid);
  void add_children(pid_t pid);
  void spread();

  const pid_t group_;
  const std::string entry_;
  bool group_is_ours_ = false;
  bool certain_ = false;
  std::vector<ProcessEntry> entries_;
  // With their starts, also when they have ended: a number in use as a group or session is not given anew.
  std::unordered_map<pid_t, std::uint64_t> members_;
  std::unordered_map<pid_t, ProcessEntry> strangers_;
  // Zombies met before: what they left behind was listed in the looks since.
  std::unordered_set<pid_t> ended_;
  std::string buffer_;
};

}  // namespace sloth
