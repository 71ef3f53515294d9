#include "cmd/stub_text.h"

#include <fmt/format.h>

#include <vector>

namespace sloth {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

// "@param path string the file" -> "path string the file".
bool take(std::string_view& line, std::string_view word) {
  if (!line.starts_with(word)) return false;
  line.remove_prefix(word.size());
  return true;
}

// A comment line of a stub as text; `code`: inside a fenced example. Empty optional fields are not shown.
std::string comment_text(std::string_view line, bool& code) {
  if (line.starts_with("```")) {
    code = line != "```";
    return "";
  }
  if (code) return fmt::format("      {}\n", line);
  if (take(line, "@param ")) return fmt::format("    takes {}\n", line);
  if (take(line, "@return ")) return fmt::format("    gives {}\n", line);
  if (take(line, "@field ")) return fmt::format("    .{}\n", line);
  if (take(line, "@class ")) return fmt::format("    {}:\n", line);
  if (line.starts_with('@')) return "";
  return line.empty() ? "\n" : fmt::format("    {}\n", line);
}

}  // namespace

std::string stub_summary(std::string_view stub) {
  std::string summary;
  for (std::string_view line : lines_of(stub)) {
    if (!take(line, "---") || line.starts_with('@')) {
      if (summary.empty()) continue;
      break;
    }
    if (line.empty()) break;
    summary += (summary.empty() ? "" : " ") + std::string(line);
    const auto end = summary.find(". ");
    if (end != std::string::npos) return summary.substr(0, end);
  }
  if (summary.ends_with('.')) summary.pop_back();
  return summary;
}

std::string stub_text(std::string_view stub) {
  std::string text;
  std::string comment;
  bool code = false;
  for (std::string_view line : lines_of(stub)) {
    if (take(line, "---")) {
      comment += comment_text(line, code);
      continue;
    }
    if (take(line, "function ")) {
      if (line.ends_with(" end")) line.remove_suffix(4);
      text += fmt::format("{}\n{}\n", line, comment);
    } else if (!comment.empty()) {
      // The module itself, or the description of a type.
      text += comment + "\n";
    }
    comment.clear();
  }
  if (!comment.empty()) text += comment;
  return text;
}

}  // namespace sloth
