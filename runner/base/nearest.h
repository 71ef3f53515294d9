// The name a user probably meant.
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sloth {

// The candidate with the smallest edit distance (Damerau-Levenshtein, adjacent swaps count one)
// when it is close enough to be meant (at most a third of the longer name, at least 1); else "".
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

// `; did you mean "X"?` or "".
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace sloth
