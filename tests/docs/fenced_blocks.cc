#include "tests/docs/fenced_blocks.h"

namespace sloth::testing {
namespace {

constexpr std::string_view kFence = "```";
constexpr std::string_view kCommentBegin = "<!-- test:";
constexpr std::string_view kCommentEnd = "-->";

std::vector<std::string> directives_of(std::string_view comment) {
  comment.remove_prefix(kCommentBegin.size());
  comment = comment.substr(0, comment.rfind(kCommentEnd));
  std::vector<std::string> directives;
  while (!comment.empty()) {
    const std::size_t end = comment.find(';');
    directives.push_back(trimmed(comment.substr(0, end)));
    comment.remove_prefix(end == std::string_view::npos ? comment.size() : end + 1);
  }
  return directives;
}

}  // namespace

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<FencedBlock> fenced_blocks(std::string_view page) {
  std::vector<FencedBlock> blocks;
  std::string heading;
  std::vector<std::string> directives;
  bool inside = false;
  int number = 0;
  for (const std::string& line : lines_of(page)) {
    ++number;
    if (line.starts_with(kFence)) {
      if (!inside)
        blocks.push_back({number, trimmed(line.substr(kFence.size())), heading, "", std::move(directives)});
      inside = !inside;
      directives.clear();
    } else if (inside) {
      blocks.back().text += line + "\n";
    } else if (line.starts_with('#')) {
      heading = trimmed(line.substr(line.find_first_not_of('#')));
    } else if (line.starts_with(kCommentBegin)) {
      directives = directives_of(line);
    }
  }
  return blocks;
}

std::vector<std::string> link_targets(std::string_view page) {
  std::vector<std::string> targets;
  bool inside = false;
  for (const std::string& line : lines_of(page)) {
    if (line.starts_with(kFence)) inside = !inside;
    if (inside) continue;
    for (std::size_t at = line.find("]("); at != std::string::npos; at = line.find("](", at + 1)) {
      const std::size_t end = line.find(')', at);
      if (end != std::string::npos) targets.push_back(line.substr(at + 2, end - at - 2));
    }
  }
  return targets;
}

}  // namespace sloth::testing
