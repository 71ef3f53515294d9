#include "runner/dsl/source_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "runner/dsl/lua_tokens.h"
#include "runner/dsl/names.h"

namespace sloth {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::size_t kExcerptWidth = 120;

}  // namespace

Result<SourceText> SourceText::read(const std::string& file, std::string_view bytes) {
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  if (bytes.starts_with('\x1b')) {
    return Error{Code::kInvalid, file + ":1: bytecode is not accepted\n  give the Lua source text"};
  }
  std::string text(bytes);
  if (text.starts_with("#!")) text.replace(0, 2, "--");
  SourceText source(std::move(text));
  if (const std::size_t nul = source.text_.find('\0'); nul != std::string::npos) {
    const auto after = std::upper_bound(source.line_starts_.begin(), source.line_starts_.end(), nul);
    const auto line = static_cast<int>(after - source.line_starts_.begin());
    return Error{Code::kInvalid,
                 fmt::format("{}:{}: a NUL byte in the source\n{}\n  write it as \\0 inside a string", file,
                             line, source.excerpt(line))};
  }
  source.scan();
  return source;
}

SourceText::SourceText(std::string text) : text_(std::move(text)) {
  line_starts_.push_back(0);
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n' || (text_[i] == '\r' && text_.compare(i + 1, 1, "\n") != 0))
      line_starts_.push_back(i + 1);
  }
}

void SourceText::scan() {
  using Kind = LuaToken::Kind;
  LuaTokens tokens(text_);
  std::vector<int> open_brackets;
  // The two tokens before `=` tell `key =` from `["key"] =`.
  LuaToken before_last, last;
  for (LuaToken token = tokens.next(); token.kind != Kind::kEnd; token = tokens.next()) {
    const bool other = token.kind == Kind::kOther;
    if (other && (token.text == "(" || token.text == "{")) open_brackets.push_back(token.line);
    if (other && (token.text == ")" || token.text == "}") && !open_brackets.empty()) {
      int& end = extents_[open_brackets.back()];
      end = std::max(end, token.line);
      open_brackets.pop_back();
    }
    if (other && token.text == "=") {
      const LuaToken& key = last.text == "]" && last.kind == Kind::kOther ? before_last : last;
      if (key.kind == Kind::kName || key.kind == Kind::kString) {
        declared_[std::string(key.text)].push_back(key.line);
      }
    }
    if (token.kind == Kind::kString && last.text == "=" && before_last.text == "name") {
      declared_[std::string(token.text)].push_back(token.line);
    }
    before_last = last;
    last = token;
  }
}

std::string SourceText::excerpt(int line) const {
  if (line < 1 || static_cast<std::size_t>(line) > line_starts_.size()) return "";
  const std::size_t begin = line_starts_[static_cast<std::size_t>(line) - 1];
  std::size_t end = std::min(text_.find_first_of("\r\n", begin), text_.size());
  while (end > begin && (text_[end - 1] == ' ' || text_[end - 1] == '\t')) --end;
  std::string shown = text_.substr(begin, end - begin);
  std::replace(shown.begin(), shown.end(), '\t', ' ');
  return fmt::format("  {} | {}", line, printable(shown, kExcerptWidth));
}

int SourceText::last_line_of(int from) const {
  const auto found = extents_.find(from);
  return found == extents_.end() ? from : found->second;
}

int SourceText::declared_inside(const std::string& key, int from) const {
  const auto found = declared_.find(key);
  if (found == declared_.end()) return 0;
  const auto inside = std::lower_bound(found->second.begin(), found->second.end(), from);
  return inside != found->second.end() && *inside <= last_line_of(from) ? *inside : 0;
}

int SourceText::declared_at(const std::string& key, int from) const {
  if (const int line = declared_inside(key, from); line > 0) return line;
  const auto found = declared_.find(key);
  return found != declared_.end() && found->second.size() == 1 ? found->second.front() : 0;
}

}  // namespace sloth
