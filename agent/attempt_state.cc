#include "agent/attempt_state.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "agent/digest.h"

namespace sloth {
namespace {

constexpr std::array<std::pair<AttemptState, const char*>, 12> kNames = {{
    {AttemptState::kQueued, "queued"},
    {AttemptState::kOffered, "offered"},
    {AttemptState::kAccepted, "accepted"},
    {AttemptState::kRunning, "running"},
    {AttemptState::kUnknown, "unknown"},
    {AttemptState::kSucceeded, "succeeded"},
    {AttemptState::kFailed, "failed"},
    {AttemptState::kTimedOut, "timed_out"},
    {AttemptState::kCancelled, "cancelled"},
    {AttemptState::kInterrupted, "interrupted"},
    {AttemptState::kRefused, "refused"},
    {AttemptState::kLost, "lost"},
}};

}  // namespace

const char* attempt_state_name(AttemptState state) {
  for (const auto& [known, name] : kNames) {
    if (known == state) return name;
  }
  return "?";
}

Result<AttemptState> parse_attempt_state(std::string_view text) {
  for (const auto& [state, name] : kNames) {
    if (text == name) return state;
  }
  return Error{Code::kInvalid, fmt::format("\"{}\" is no state of an attempt", text)};
}

bool is_terminal(AttemptState state) { return state >= AttemptState::kSucceeded; }

std::string attempt_id(const AttemptKey& key) {
  // Lengths in front, so that no two keys make the same text.
  const std::string text = fmt::format("{}:{}|{}:{}|{}:{}|{}", key.run.size(), key.run, key.task.size(),
                                       key.task, key.agent.size(), key.agent, key.number);
  return sha256(text).substr(0, 32);
}

}  // namespace sloth
