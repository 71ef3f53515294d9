// Clock: where time comes from, so that tests can turn the hands themselves.
//
// Thread-safe. Durations inside the program are nanoseconds of the steady clock; wall time is only
// for people and records. ManualClock for tests stands in tests/support.
#pragma once

#include <chrono>
#include <cstdint>

namespace sloth {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back; its zero means nothing.
  [[nodiscard]] virtual TimePoint now() const = 0;
  // Milliseconds since 1970-01-01 UTC.
  [[nodiscard]] virtual std::int64_t wall_ms() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] std::int64_t wall_ms() const override;
};

}  // namespace sloth
