// Leases: what silence of an agent means: after the lease its attempts are unknown, much later they are lost.
//
// Strand-confined: call only on its master's strand. Times are of the steady clock. When this master itself
// was stopped for a while, everybody gets the chance to be heard before anything is concluded.
#pragma once

#include <string>

#include "agent/attempt_book.h"
#include "agent/registry.h"
#include "runner/base/clock.h"

namespace sloth {

class Leases {
 public:
  explicit Leases(MasterCore& core) : core_(core) {}

  // The master has just started: nothing is lost before Options::reconcile from now.
  void begin();
  // Any message of it.
  void heard(KnownAgent& agent);
  // Has its clock run, when somebody could suffer from its silence.
  void watch(KnownAgent& agent);
  // An attempt that may run on `agent`: unknown at once when that one is silent.
  void follow(Attempt& attempt);

 private:
  void look(const std::string& name);
  void silence(KnownAgent& agent);
  void doubt(Attempt& attempt);
  void give_up(const std::string& id, TimePoint due);

  MasterCore& core_;
  TimePoint reconciled_{};
};

}  // namespace sloth
