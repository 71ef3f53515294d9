#include "cmd/terminal_text.h"

#include <fmt/format.h>

namespace sloth {
namespace {

// The length of "ESC [ digits and ; m" at the start of `text`; 0: something else.
std::size_t color_length(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  const auto end = text.find_first_not_of("0123456789;:", 2);
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 : 0;
}

}  // namespace

std::string terminal_text(std::string_view line) {
  if (const auto last = line.rfind('\r'); last != std::string_view::npos) line = line.substr(last + 1);
  std::string text;
  text.reserve(line.size());
  bool colored = false;
  while (!line.empty()) {
    if (const std::size_t length = color_length(line); length > 0) {
      text += line.substr(0, length);
      line.remove_prefix(length);
      colored = true;
      continue;
    }
    const auto byte = static_cast<unsigned char>(line.front());
    line.remove_prefix(1);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += static_cast<char>(byte);
    }
  }
  if (colored) text += "\x1b[0m";
  return text;
}

}  // namespace sloth
