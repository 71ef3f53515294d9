// Value to JSON text and back.
//
// Thread-safe: pure functions. JSON has fewer kinds than Value: bytes that are no UTF-8 are written
// with U+FFFD, boolean and number keys as their text, nan and infinities as null.
#pragma once

#include <string>
#include <string_view>

#include "runner/base/result.h"
#include "runner/base/value.h"

namespace sloth {

// `indent` < 0: one line.
std::string to_json(const Value& value, int indent = -1);

// kInvalid with line and column when `text` is no JSON or nested deeper than 200. null becomes nil;
// integers beyond 2^53 lose precision, as every number is a double.
Result<Value> from_json(std::string_view text);

}  // namespace sloth
