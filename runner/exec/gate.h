// Gate: stops new work and tells when the old is done.
//
// Thread-safe. Work enters by taking a Pass; close() refuses new passes and waits until those that
// are out have been given back.
//
//   if (auto pass = gate.enter()) { ... }      // the pass may move into a job
//   gate.close();                              // nobody is inside any more
#pragma once

#include <optional>

#include "runner/base/mutex.h"

namespace sloth {

class Gate {
 public:
  class Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(other.gate_) { other.gate_ = nullptr; }
    Pass& operator=(Pass&&) = delete;
    Pass(const Pass&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->leave();
    }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) : gate_(gate) {}
    Gate* gate_;
  };

  // Empty once closed.
  std::optional<Pass> enter() EXCLUDES(mutex_);

  // Refuses new passes, waits for the last one. Idempotent.
  void close() EXCLUDES(mutex_);

 private:
  void leave() EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar empty_;
  int inside_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace sloth
