#include "runner/exec/gate.h"

namespace sloth {

std::optional<Gate::Pass> Gate::enter() {
  MutexLock lock(mutex_);
  if (closed_) return std::nullopt;
  ++inside_;
  return Pass(this);
}

void Gate::close() {
  MutexLock lock(mutex_);
  closed_ = true;
  while (inside_ > 0) empty_.wait(mutex_);
}

void Gate::leave() {
  // Notified under the lock: whoever waits in close() may destroy the gate as soon as it has it.
  MutexLock lock(mutex_);
  if (--inside_ == 0) empty_.notify_all();
}

}  // namespace sloth
