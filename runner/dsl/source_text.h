// SourceText: the text of one task file: made ready for the compiler, and asked afterwards where things
// stand.
//
// Immutable once made: thread-safe. Line numbers are those of the file as the user sees it, also with a byte
// order mark, CRLF or a `#!` line.
//
//   auto source = SourceText::read("tasks.lua", bytes);
//   compile(source->text());
//   int line = source->declared_at("build", 3);   // where `build = {` stands
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runner/base/result.h"

namespace sloth {

class SourceText {
 public:
  // kInvalid: bytecode, or a NUL byte; the message starts with "tasks.lua:7: " and shows the line.
  static Result<SourceText> read(const std::string& file, std::string_view bytes);

  // Without byte order mark; a first `#!` line is a comment.
  [[nodiscard]] const std::string& text() const { return text_; }

  // "  12 | task(\"x\")", cut to a screen's width, unprintable bytes escaped; "" when there is no such line.
  [[nodiscard]] std::string excerpt(int line) const;

  // The line where `key = ...`, `["key"] = ...` or `name = "key"` stands in the call or table that begins on
  // line `from`, else 0. Comments and strings do not count.
  [[nodiscard]] int declared_inside(const std::string& key, int from) const;
  // The same; when not there, the only such line of the file.
  [[nodiscard]] int declared_at(const std::string& key, int from) const;

 private:
  explicit SourceText(std::string text);
  void scan();
  [[nodiscard]] int last_line_of(int from) const;

  std::string text_;
  std::vector<std::size_t> line_starts_;
  std::unordered_map<std::string, std::vector<int>> declared_;  // key -> lines, ascending
  std::unordered_map<int, int> extents_;  // line with an opening bracket -> where it closes
};

// The texts of all files loaded so far, by the file name in places.
using Sources = std::map<std::string, SourceText>;

}  // namespace sloth
