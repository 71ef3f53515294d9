// Times as text: strftime layouts and RFC 3339.
//
// Thread-safe: pure functions. Seconds since 1970 UTC; the local zone is the machine's (TZ of this process).
#pragma once

#include <string>

#include "runner/base/result.h"

namespace sloth {

enum class Zone { kUtc, kLocal };

// strftime(3). kInvalid for times beyond the year 9999 or before 1.
Result<std::string> format_time(double seconds, const std::string& layout, Zone zone);

// strptime(3), all of `text`. A layout with %z (an offset or Z) decides by itself; else `zone` does.
Result<double> parse_time(const std::string& text, const std::string& layout, Zone zone);

// "2026-03-01T12:00:00Z", with milliseconds when there are any.
Result<std::string> format_rfc3339(double seconds);

// "2026-03-01T12:00:00[.123](Z|+01:00)"; a blank instead of T and small letters are accepted.
Result<double> parse_rfc3339(const std::string& text);

}  // namespace sloth
