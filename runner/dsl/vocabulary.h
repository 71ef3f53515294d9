// Vocabulary: every word of the task language in one place: what is available, what is another name for it,
// and what the language has but this version has not.
//
// Immutable: thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sloth {

struct Word {
  std::string_view name;
  std::string_view means;  // the word that it is another name for; itself when it is none
};

class Vocabulary {
 public:
  static const Vocabulary& of_tasks();
  static const Vocabulary& of_workflows();
  static const Vocabulary& of_config();

  // The word itself, or what it is another name for; "" when it is not available.
  [[nodiscard]] std::string_view meaning(std::string_view name) const;

  // What is wrong with a name that has no meaning here: `"matrix" is not available in this version`, or
  // `"tiemout" is unknown; did you mean "timeout"?`.
  [[nodiscard]] std::string refusal(std::string_view name) const;

  [[nodiscard]] const std::vector<Word>& available() const { return available_; }

 private:
  Vocabulary(std::vector<Word> available, std::vector<std::string_view> later)
      : available_(std::move(available)), later_(std::move(later)) {}

  std::vector<Word> available_;
  std::vector<std::string_view> later_;
};

}  // namespace sloth
