// find_attempt(): the process of an attempt, when nothing is known but that it may have been started.
//
// Thread-safe: one function. Blocks while it looks through /proc: an agent that died between the start of a
// process and the journalling of its name finds it by its environment.
#pragma once

#include <optional>
#include <string>

#include "agent/attempt_process.h"

namespace sloth {

// The oldest leader of a session that has SLOTH_ATTEMPT=<id>.
std::optional<ProcessName> find_attempt(const std::string& id);

}  // namespace sloth
