#include "runner/dsl/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace sloth {
namespace {

constexpr std::size_t kLongestName = 200;
constexpr std::size_t kLongestAgent = 63;

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// The length of the UTF-8 character at the start of `text`; 0 when there is none (RFC 3629: no overlong
// forms, no surrogates, nothing above U+10FFFF).
std::size_t character_at(std::string_view text, std::uint32_t& code) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  std::size_t length = 0;
  std::uint32_t lowest = 0;
  if (first < 0x80) {
    code = first;
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2, lowest = 0x80, code = first & 0x1Fu;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3, lowest = 0x800, code = first & 0x0Fu;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4, lowest = 0x10000, code = first & 0x07u;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < lowest || code > 0x10FFFF || surrogate ? 0 : length;
}

bool is_control(std::uint32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

}  // namespace

std::string wrong_with_name(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kLongestName) return fmt::format("is longer than {} bytes", kLongestName);
  while (!name.empty()) {
    std::uint32_t code = 0;
    const std::size_t length = character_at(name, code);
    if (length == 0) return "is not valid UTF-8";
    if (is_control(code)) return "holds a control character";
    name.remove_prefix(length);
  }
  return "";
}

std::string wrong_with_agent(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kLongestAgent && is_alnum(name.front()) &&
                    std::all_of(name.begin(), name.end(),
                                [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
  return fits ? "" : "is no agent name";
}

std::string wrong_with_variable(std::string_view name) {
  const bool fits = !name.empty() && (name[0] < '0' || name[0] > '9') &&
                    std::all_of(name.begin(), name.end(), [](char c) { return is_alnum(c) || c == '_'; });
  if (!fits) return "is no name of an environment variable";
  if (name.starts_with("LD_")) return "changes how every program is loaded and is refused";
  return "";
}

std::string printable(std::string_view text, std::size_t width) {
  std::string shown;
  while (!text.empty()) {
    std::uint32_t code = 0;
    std::size_t length = character_at(text, code);
    if (shown.size() >= width) return shown + "...";
    if (length == 0 || is_control(code)) {
      length = std::max<std::size_t>(length, 1);
      for (const char c : text.substr(0, length)) {
        shown += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
      }
    } else {
      shown += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return shown;
}

std::string quoted(std::string_view text) { return "\"" + printable(text) + "\""; }

}  // namespace sloth
