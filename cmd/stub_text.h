// A module's stub (the language server's description) as text for people.
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace sloth {

// The first sentence.
std::string stub_summary(std::string_view stub);

// Each function with its signature first, what it does below, then its parameters and results. Examples stay.
std::string stub_text(std::string_view stub);

}  // namespace sloth
