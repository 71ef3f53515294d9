// Bytes of a task as text that a terminal may show.
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace sloth {

// One line: colour sequences and tabs stay; of text that overwrote itself with carriage returns the last
// version is left; other control characters become visible ("\x1b", "\x07"), so that output cannot drive the
// terminal.
std::string terminal_text(std::string_view line);

}  // namespace sloth
