// end_descendants(): the end of every process that this one started, directly or not.
//
// Thread-safe. Exact, where process_tree.h must search: a subreaper (become_subreaper) without children has
// no descendants, however often they forked, left their session or cleared their environment. Blocks: call it
// on the blocking lane or where nothing else is to do.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runner/base/clock.h"
#include "runner/os/process_tree.h"

namespace sloth {

struct EndedDescendants {
  std::vector<ProcessInfo> ended;  // that were alive
  std::vector<ProcessInfo> left;   // that could not be ended, after `patience`
};

// Kills and reaps the children for which `chosen` is true (none given: all) and all that descend from them,
// until none is left or `patience` is over. Takes the exit status of every one of them.
EndedDescendants end_descendants(Duration patience, const std::function<bool(pid_t)>& chosen = {});

// "12 (make all), 13 (sleep 5)", at most five of them.
std::string names_of(const std::vector<ProcessInfo>& processes);

}  // namespace sloth
