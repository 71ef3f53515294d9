// Timers: pending moments of one scheduler, a list for each distinct millisecond.
//
// Strand-confined: call only on its strand. Nodes belong to their owners; a linked node must be removed
// before it goes. Adding the same moment again, the usual case of many equal sleeps, costs no search.
#pragma once

#include <cstdint>
#include <map>

#include "runner/goroutine/goroutine.h"

namespace sloth {

class Timers {
 public:
  void add(TimerNode& node, std::int64_t due);
  // Not linked: nothing.
  void remove(TimerNode& node);

  // Takes out one node that is due; null when none is.
  TimerNode* take_due(std::int64_t now);

  [[nodiscard]] bool empty() const { return lists_.empty(); }
  // REQUIRES: !empty().
  [[nodiscard]] std::int64_t earliest() const { return lists_.begin()->first; }

 private:
  std::map<std::int64_t, TimerNode*> lists_;                            // the first node of each
  std::map<std::int64_t, TimerNode*>::iterator latest_ = lists_.end();  // where the last one was added
};

}  // namespace sloth
