// Durations as users write and read them: "300ms", "1h30m", "2.5s" (the grammar of Go's
// time.ParseDuration without signs).
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "runner/base/clock.h"
#include "runner/base/result.h"

namespace sloth {

// The longest duration any option accepts: one year.
inline constexpr Duration kLongestDuration = std::chrono::hours(24 * 365);

// Accepts ns, us, ms, s, m, h in any order with fractions. Zero, negative, longer than
// kLongestDuration and anything else fail with kInvalid and a message that shows the forms.
Result<Duration> parse_duration(std::string_view text);

// The same rules for a bare number of seconds.
Result<Duration> duration_from_seconds(double seconds);

// Short form for people: "850us", "12ms", "3.4s", "2m05s", "1h02m".
std::string format_duration(Duration duration);

}  // namespace sloth
