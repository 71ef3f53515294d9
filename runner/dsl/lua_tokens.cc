#include "runner/dsl/lua_tokens.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace sloth {
namespace {

bool is_name_byte(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; }

}  // namespace

// Counts the lines it passes; "\r\n" and a lone "\r" are one line end each, as Lua reads them.
std::string_view LuaTokens::take(std::size_t length) {
  const std::string_view taken = text_.substr(at_, length);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const bool second_half = taken[i] == '\n' && at_ + i > 0 && text_[at_ + i - 1] == '\r';
    if ((taken[i] == '\n' || taken[i] == '\r') && !second_half) ++line_;
  }
  at_ += taken.size();
  return taken;
}

std::size_t LuaTokens::long_bracket() const {
  if (text_.substr(at_, 1) != "[") return 0;
  const std::size_t second = text_.find_first_not_of('=', at_ + 1);
  return second != std::string_view::npos && text_[second] == '[' ? second - at_ + 1 : 0;
}

std::string_view LuaTokens::long_string(std::size_t opening) {
  const std::string closing = "]" + std::string(opening - 2, '=') + "]";
  take(opening);
  const std::size_t end = std::min(text_.find(closing, at_), text_.size());
  const std::string_view content = take(end - at_);
  take(closing.size());
  return content;
}

std::string_view LuaTokens::quoted() {
  const char quote = text_[at_];
  std::size_t end = at_ + 1;
  while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
  end = std::min(end, text_.size());
  take(1);
  const std::string_view content = take(end - at_);
  take(1);
  return content;
}

void LuaTokens::skip_blanks() {
  while (at_ < text_.size()) {
    if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
      take(1);
    } else if (text_.substr(at_, 2) == "--") {
      take(2);
      if (const std::size_t opening = long_bracket(); opening > 0) {
        long_string(opening);
      } else {
        take(std::min(text_.find_first_of("\r\n", at_), text_.size()) - at_);
      }
    } else {
      return;
    }
  }
}

LuaToken LuaTokens::next() {
  skip_blanks();
  LuaToken token;
  token.line = line_;
  if (at_ >= text_.size()) return token;
  const char c = text_[at_];
  if (is_name_byte(c)) {
    std::size_t end = at_;
    while (end < text_.size() && is_name_byte(text_[end])) ++end;
    token.kind = LuaToken::Kind::kName;
    token.text = take(end - at_);
  } else if (c == '"' || c == '\'') {
    token.kind = LuaToken::Kind::kString;
    token.text = quoted();
  } else if (const std::size_t opening = long_bracket(); opening > 0) {
    token.kind = LuaToken::Kind::kString;
    token.text = long_string(opening);
  } else {
    token.kind = LuaToken::Kind::kOther;
    const bool compares = text_.substr(at_ + 1, 1) == "=" && (c == '=' || c == '~' || c == '<' || c == '>');
    token.text = take(compares ? 2 : 1);
  }
  return token;
}

}  // namespace sloth
