// Event as one line of JSON: what `--output json` prints. The schema, version 1, stands in this room's
// README.
//
// Thread-safe: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "runner/task/event.h"

namespace sloth {

// The version in the field "v". It grows when a field changes its meaning or goes away, not when one comes.
inline constexpr int kEventJsonVersion = 1;

// One JSON object without a line end. "v", "ts" and "type" come first, then the common fields that apply,
// then those of the body. Output bytes that are no UTF-8 are sent as "base64"; other strings that are none
// get U+FFFD.
std::string event_json(const Event& event);

// Milliseconds since 1970 as RFC 3339 in UTC: "2026-03-01T09:30:00.250Z".
std::string rfc3339(std::int64_t wall_ms);

}  // namespace sloth
