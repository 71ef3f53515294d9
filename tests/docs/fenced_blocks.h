// The fenced code blocks and the links of a Markdown page, so that tests can run what the page shows.
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sloth::testing {

struct FencedBlock {
  int line = 0;          // of the opening fence
  std::string language;  // "lua"; "" when the fence names none
  std::string heading;   // the nearest one above, without its #s
  std::string text;      // every line ended
  // What an HTML comment right above says, `<!-- test: file tasks.lua; expect-exit 1 -->`: split at ';',
  // trimmed.
  std::vector<std::string> directives;
};

std::vector<FencedBlock> fenced_blocks(std::string_view page);

// The targets of [text](target), outside of fences.
std::vector<std::string> link_targets(std::string_view page);

// A line without the white space around it.
std::string trimmed(std::string_view text);

std::vector<std::string> lines_of(std::string_view text);

}  // namespace sloth::testing
