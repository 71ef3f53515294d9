// Strand: one job at a time, first in, first out, on an executor's CPU lane.
//
// Thread-safe. Jobs of one strand see each other's writes without a lock, though the thread changes.
// The strand may be destroyed while jobs are queued: they still run (the state is shared).
#pragma once

#include <memory>

#include "runner/base/unique_function.h"

namespace sloth {

class Executor;

class Strand {
 public:
  // REQUIRES: the executor outlives the last job.
  explicit Strand(Executor& executor);
  Strand(const Strand&) = default;  // a second handle on the same strand
  Strand& operator=(const Strand&) = default;

  // False, and the job is destroyed unrun, once the executor has stopped.
  bool post(Job job) const;

  // True inside a job of this strand.
  [[nodiscard]] bool running_here() const;

  [[nodiscard]] Executor& executor() const;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace sloth
