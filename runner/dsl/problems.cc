#include "runner/dsl/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace sloth {

void Problems::add(const Place& place, std::string message, std::string cure) {
  list_.push_back({place, std::move(message), std::move(cure)});
}

Error Problems::error(const std::function<std::string(const Place&)>& excerpt) const {
  SLOTH_CHECK(!empty());
  std::vector<const Problem*> ordered;
  for (const Problem& problem : list_) ordered.push_back(&problem);
  std::stable_sort(ordered.begin(), ordered.end(), [](const Problem* a, const Problem* b) {
    return std::tie(a->place.file, a->place.line, a->message) <
           std::tie(b->place.file, b->place.line, b->message);
  });

  std::string text;
  const std::size_t shown = std::min(ordered.size(), kMostShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const Problem& problem = *ordered[i];
    if (i > 0) text += "\n";
    text += problem.place.file.empty() ? problem.message : problem.place.text() + ": " + problem.message;
    if (const std::string source = excerpt(problem.place); !source.empty()) text += "\n" + source;
    if (!problem.cure.empty()) text += "\n  " + problem.cure;
  }
  if (ordered.size() > shown) text += fmt::format("\n... and {} more problems", ordered.size() - shown);
  return Error{Code::kInvalid, std::move(text)};
}

}  // namespace sloth
