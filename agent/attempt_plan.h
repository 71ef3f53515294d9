// AttemptPlan as bytes: what an attempt process is told beside the bundle, and the bundle's request behind
// it.
//
// Thread-safe: pure functions. Both sides are the same program, started from the same file: no versions.
#pragma once

#include <string>
#include <string_view>

#include "agent/attempt_process.h"
#include "runner/base/result.h"

namespace sloth {

// One line of JSON with id, workspace, account, limits and timeout, then the request.
std::string encode_plan(const AttemptPlan& plan, std::string_view request);

struct DecodedPlan {
  AttemptPlan plan;  // without files and content, which the process has as descriptors
  std::string request;
};
// kInvalid for anything else.
Result<DecodedPlan> decode_plan(std::string_view bytes);

}  // namespace sloth
