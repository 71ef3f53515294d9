// LuaTokens: the tokens of a Lua text, as far as finding declarations needs them.
//
// Not shared: one thread at a time. Comments are skipped; never fails: what is no Lua gives odd tokens.
#pragma once

#include <string_view>

namespace sloth {

struct LuaToken {
  enum class Kind { kEnd, kName, kString, kOther };
  Kind kind = Kind::kEnd;
  std::string_view
      text;      // a string without its quotes, escapes as written; other: one byte ("==" is kept whole)
  int line = 1;  // where it begins
};

class LuaTokens {
 public:
  // `text` outlives the object.
  explicit LuaTokens(std::string_view text) : text_(text) {}

  LuaToken next();

 private:
  void skip_blanks();
  std::string_view take(std::size_t length);
  std::string_view quoted();
  // "[[", "[=[": the number of "=" plus 2; 0 when no long bracket begins here.
  [[nodiscard]] std::size_t long_bracket() const;
  std::string_view long_string(std::size_t opening);

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
};

}  // namespace sloth
