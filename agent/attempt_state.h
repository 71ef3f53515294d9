// AttemptState: where one attempt of a delegated task stands, in the words that the journals, the wire and people use.
//
// A value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runner/base/result.h"

namespace sloth {

//   queued -> offered -> accepted -> running -> succeeded | failed | timed_out | cancelled | interrupted
//                    \-> refused (proven not started)   running ~> unknown ~> running | any end | lost
enum class AttemptState {
  kQueued,       // the master has it, no agent does
  kOffered,      // sent at least once, not answered
  kAccepted,     // in the agent's journal
  kRunning,      // in the agent's journal as started, before its process exists
  kUnknown,      // ran when last heard of; the agent's lease is over. Never in a journal
  kSucceeded,    // from here on: ends. One per attempt, the first that is committed
  kFailed,
  kTimedOut,
  kCancelled,
  kInterrupted,  // was started, its process is gone and left no result
  kRefused,      // the agent said no; nothing was started
  kLost,         // unknown for longer than lost_after; a late result is evidence only
};

// "queued", "offered", ... "lost".
const char* attempt_state_name(AttemptState state);
Result<AttemptState> parse_attempt_state(std::string_view name);

// Succeeded and what follows it in the list above.
bool is_terminal(AttemptState state);

// Which attempt: at most one for each of these, on one agent, ever.
struct AttemptKey {
  std::string run;    // run id
  std::string task;
  std::string agent;  // name
  int number = 1;     // the task's attempt, from 1; also its epoch: a higher one fences the lower ones off
  bool operator==(const AttemptKey&) const = default;
};

// 32 hexadecimal digits made from the key: the same key is the same id everywhere. Safe as a file name.
std::string attempt_id(const AttemptKey& key);

}  // namespace sloth
