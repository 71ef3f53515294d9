// Bundle: all that an attempt needs, as bytes: the request, and by digest the content that many requests share.
//
// Thread-safe: pure functions. Content (source texts, captured values) is kept apart from the request so that it
// travels once per agent. What a task does not use is not in its bundle.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/task/outcome.h"
#include "runner/task/task_runner.h"

namespace sloth {

struct Blob {
  std::string digest;  // sha256 of `bytes`
  std::shared_ptr<const std::string> bytes;
};

struct Bundle {
  std::string request;           // encoded; names its blobs
  std::string digest;            // sha256 of `request`, which names the digests of the rest
  std::vector<Blob> blobs;       // without doubles
};

// What travels beside the task itself.
struct BundleExtras {
  std::string user;             // whom it shall run as; "" : the agent's choice
  std::string agent;            // the target's name, for this.agent
};

Bundle encode_bundle(const TaskRequest& request, const BundleExtras& extras);

// The digests that the request names. kInvalid when it is not an encoded request.
Result<std::vector<std::string>> blobs_of(std::string_view request);

// What the attempt's side needs beyond the TaskRequest.
struct Unbundled {
  TaskRequest request;
  BundleExtras extras;
};
// `blob` gives content by digest, an error when it is not at hand. kInvalid for anything that is not exactly what
// encode_bundle writes: limits on sizes and depth hold, digests are compared.
Result<Unbundled> decode_bundle(std::string_view request,
                                const std::function<Result<std::string>(const std::string& digest)>& blob);

// Only what an agent must know before it accepts. kInvalid as above.
struct BundleHead {
  std::string task;
  std::string user;
  std::optional<Duration> timeout;
};
Result<BundleHead> read_bundle_head(std::string_view request);

std::string encode_outcome(const Outcome& outcome);
Result<Outcome> decode_outcome(std::string_view bytes);

}  // namespace sloth
