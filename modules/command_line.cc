#include "modules/command_line.h"

#include <algorithm>
#include <array>

namespace sloth {
namespace {

// Reserved words and built-ins of POSIX sh, dash and bash, sorted.
constexpr std::array<std::string_view, 79> kShellWords = {
    ".",        ":",         "alias",    "bg",      "bind",     "break",   "builtin",  "caller", "case",
    "cd",       "chdir",     "command",  "compgen", "complete", "compopt", "continue", "coproc", "declare",
    "dirs",     "disown",    "do",       "done",    "echo",     "elif",    "else",     "enable", "esac",
    "eval",     "exec",      "exit",     "export",  "false",    "fc",      "fg",       "fi",     "for",
    "function", "getopts",   "hash",     "help",    "history",  "if",      "in",       "jobs",   "kill",
    "let",      "local",     "logout",   "mapfile", "newgrp",   "popd",    "printf",   "pushd",  "pwd",
    "read",     "readarray", "readonly", "return",  "select",   "set",     "shift",    "shopt",  "source",
    "suspend",  "test",      "then",     "time",    "times",    "trap",    "true",     "type",   "typeset",
    "ulimit",   "umask",     "unalias",  "unset",   "until",    "wait",    "while"};

constexpr std::string_view kBlanks = " \t\n";

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(" \t_-./:,+@%=").find(c) != std::string_view::npos;
}

}  // namespace

std::optional<std::vector<std::string>> simple_command(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
  if (!std::all_of(text.begin(), text.end(), is_plain)) return std::nullopt;

  std::vector<std::string> words;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(kBlanks), text.size());
    words.emplace_back(text.substr(0, end));
    const auto next = std::min(text.find_first_not_of(kBlanks, end), text.size());
    text.remove_prefix(next);
  }
  const bool assigns = words[0].find('=') != std::string::npos;
  if (assigns || std::binary_search(kShellWords.begin(), kShellWords.end(), words[0])) return std::nullopt;
  return words;
}

}  // namespace sloth
