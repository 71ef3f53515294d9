// Names: what a task, a workflow, an agent and an environment variable may be called, and how bytes of a file
// are shown in a message.
//
// Thread-safe: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sloth {

// Every check returns "" when the name is fine, else what is wrong, as the rest of a sentence: "is empty".

// Tasks and workflows: valid UTF-8 without control characters, 1 to 200 bytes.
std::string wrong_with_name(std::string_view name);
// Agents: [A-Za-z0-9][A-Za-z0-9._-]{0,62}; never an address, a path or an option.
std::string wrong_with_agent(std::string_view name);
// Environment variables: [A-Za-z_][A-Za-z0-9_]*, none of the loader's (LD_*).
std::string wrong_with_variable(std::string_view name);

// The text with everything unprintable as \xNN, cut after `width` bytes with "...". Valid UTF-8 stays.
std::string printable(std::string_view text, std::size_t width = 200);
// The same between double quotes.
std::string quoted(std::string_view text);

}  // namespace sloth
