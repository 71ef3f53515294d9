// Messages, bundles and outcomes as protobuf bytes and back. The only place (with bundle.cc) that knows both sides.
//
// Thread-safe: pure functions. What comes from a peer is checked here: names by their grammar, digests, states, sizes; a
// frame that is not right is an error and never half a message.
#pragma once

#include <string>
#include <string_view>

#include "agent/message.h"
#include "runner/base/result.h"

namespace sloth {

namespace v1 {
class Frame;
}

// Largest frame that is accepted; what is larger travels in parts.
inline constexpr std::size_t kMostFrameBytes = std::size_t{4} << 20;

std::string encode_message(const Message& message);
// kInvalid, with the field that is wrong.
Result<Message> decode_message(std::string_view bytes);

// The same for those that have protobuf themselves.
void to_frame(const Message& message, v1::Frame& frame);
Result<Message> from_frame(const v1::Frame& frame);

// About how many bytes it takes on the wire.
std::size_t wire_size(const Message& message);

// [A-Za-z0-9][A-Za-z0-9._-]{0,62}: names of agents and ids of runs.
bool is_name(std::string_view text);
// What attempt_id() gives.
bool is_attempt_id(std::string_view text);

}  // namespace sloth
