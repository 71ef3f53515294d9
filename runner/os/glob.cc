#include "runner/os/glob.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <utility>

#include "runner/os/os_error.h"

namespace sloth {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

// Past the ] of the bracket expression that starts at `at`; kNone when it has none. A ] right after
// [ or [! is an ordinary member.
std::size_t bracket_end(std::string_view pattern, std::size_t at) {
  std::size_t i = at + 1;
  if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) ++i;
  if (i < pattern.size() && pattern[i] == ']') ++i;
  for (; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (pattern[i] == ']') {
      return i + 1;
    }
  }
  return kNone;
}

// `set` is what stands between [ and ].
bool in_bracket(std::string_view set, char c) {
  const bool negated = set.starts_with('!') || set.starts_with('^');
  if (negated) set.remove_prefix(1);
  const auto byte = static_cast<unsigned char>(c);
  bool found = false;
  const auto take = [&set] {
    if (set.size() > 1 && set.front() == '\\') set.remove_prefix(1);
    const auto taken = static_cast<unsigned char>(set.front());
    set.remove_prefix(1);
    return taken;
  };
  while (!set.empty()) {
    const unsigned char low = take();
    unsigned char high = low;
    if (set.size() > 1 && set.front() == '-') {
      set.remove_prefix(1);
      high = take();
    }
    found = found || (low <= byte && byte <= high);
  }
  return found != negated;
}

std::size_t character_bytes(std::string_view text) {
  std::size_t size = 1;
  if (static_cast<unsigned char>(text[0]) >= 0xC0) {
    while (size < text.size() && size < 4 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U)
      ++size;
  }
  return size;
}

// One step of a match other than *: the bytes of pattern and name it takes, or kNone.
std::pair<std::size_t, std::size_t> match_one(std::string_view pattern, std::string_view name) {
  if (pattern[0] == '?') return {1, character_bytes(name)};
  if (pattern[0] == '[') {
    if (const auto end = bracket_end(pattern, 0); end != kNone) {
      return {in_bracket(pattern.substr(1, end - 2), name[0]) ? end : kNone, 1};
    }
  }
  const std::size_t literal = pattern[0] == '\\' && pattern.size() > 1 ? 1 : 0;
  return {pattern[literal] == name[0] ? literal + 1 : kNone, 1};
}

bool has_wildcard(std::string_view pattern) { return pattern.find_first_of("*?[\\") != kNone; }

struct Entry {
  std::string name;
  bool directory;       // itself, not through a link
  bool may_be_entered;  // a directory, or a link to one
};

class Walk {
 public:
  Walk(std::vector<std::string> parts, std::string root) : parts_(std::move(parts)), root_(std::move(root)) {}

  std::vector<std::string> run() {
    visit("", 0);
    return {found_.begin(), found_.end()};
  }

 private:
  // `path` is relative to the root and "" or ends in a slash; parts from `index` on are still to match.
  void visit(const std::string& path, std::size_t index) {
    const std::string& part = parts_[index];
    const bool last = index + 1 == parts_.size();
    if (part != "**" && !has_wildcard(part)) {
      step(path, part, index, last);
      return;
    }
    // Two ways through several ** may lead to one place: from there on they find the same.
    if (!visited_.emplace(path, index).second) return;
    if (part == "**" && !last) visit(path, index + 1);
    for (const Entry& entry : entries(path)) {
      if (part == "**") {
        if (entry.name.starts_with('.')) continue;
        if (last) found_.insert(path + entry.name);
        if (entry.directory) visit(path + entry.name + '/', index);
      } else if (name_matches(part, entry.name)) {
        if (last) {
          found_.insert(path + entry.name);
        } else if (entry.may_be_entered) {
          visit(path + entry.name + '/', index + 1);
        }
      }
    }
  }

  void step(const std::string& path, const std::string& name, std::size_t index, bool last) {
    struct stat info {};
    const std::string full = root_ + path + name;
    if (last) {
      if (::lstat(full.c_str(), &info) == 0) found_.insert(path + name);
    } else if (::stat(full.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      visit(path + name + '/', index + 1);
    }
  }

  [[nodiscard]] std::vector<Entry> entries(const std::string& path) const {
    std::vector<Entry> list;
    const std::string full = root_ + path;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(full.empty() ? "." : full.c_str()),
                                                        &::closedir);
    if (directory == nullptr) return list;
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      list.push_back(Entry{std::string(name), is_directory(directory.get(), *entry, AT_SYMLINK_NOFOLLOW),
                           is_directory(directory.get(), *entry, 0)});
    }
    return list;
  }

  static bool is_directory(DIR* parent, const dirent& entry, int flags) {
    if (entry.d_type == DT_DIR) return true;
    const bool known = entry.d_type != DT_UNKNOWN && (entry.d_type != DT_LNK || flags == AT_SYMLINK_NOFOLLOW);
    struct stat info {};
    return !known && ::fstatat(::dirfd(parent), entry.d_name, &info, flags) == 0 && S_ISDIR(info.st_mode);
  }

  const std::vector<std::string> parts_;
  const std::string root_;  // "" or ends in a slash
  std::set<std::string> found_;
  std::set<std::pair<std::string, std::size_t>> visited_;
};

Result<std::vector<std::string>> split(const std::string& pattern) {
  std::vector<std::string> parts;
  std::string_view rest = pattern;
  while (!rest.empty()) {
    const auto slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part.empty() || part == "." || (part == "**" && !parts.empty() && parts.back() == "**")) continue;
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (part[i] == '\\') {
        ++i;
      } else if (part[i] == '[') {
        const auto end = bracket_end(part, i);
        if (end == kNone) {
          return Error{Code::kInvalid, fmt::format("the glob \"{}\" has a [ without its ] (write \\[ for the "
                                                   "character itself)",
                                                   pattern)};
        }
        i = end - 1;
      }
    }
    parts.emplace_back(part);
  }
  return parts;
}

}  // namespace

bool name_matches(std::string_view pattern, std::string_view name) {
  if (name.starts_with('.') && !pattern.starts_with('.') && !pattern.starts_with("\\.")) return false;
  // The last * met and how far into the name it reaches; only that one is ever tried again.
  std::size_t star = kNone;
  std::size_t reach = 0;
  std::size_t p = 0;
  std::size_t n = 0;
  while (n < name.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      reach = n;
      continue;
    }
    if (p < pattern.size() && n < name.size()) {
      const auto [pattern_bytes, name_bytes] = match_one(pattern.substr(p), name.substr(n));
      if (pattern_bytes != kNone) {
        p += pattern_bytes;
        n += name_bytes;
        continue;
      }
    }
    if (star == kNone || reach >= name.size()) return false;
    n = ++reach;
    p = star;
  }
  return true;
}

Result<std::vector<std::string>> glob(const std::string& pattern, const std::string& base) {
  if (auto valid = check_path("match the glob", pattern); !valid) return valid.error();
  auto parts = split(pattern);
  if (!parts) return parts.error();
  const bool absolute = pattern[0] == '/';
  std::string root = absolute ? "/" : base;
  if (!absolute && !base.empty()) {
    if (auto valid = check_path("search", base); !valid) return valid.error();
    struct stat info {};
    if (::stat(base.c_str(), &info) != 0) return path_error("search", base, errno);
    if (!S_ISDIR(info.st_mode)) return path_error("search", base, ENOTDIR);
    root += '/';
  }
  if (parts->empty()) return std::vector<std::string>{absolute ? "/" : "."};
  auto found = Walk(std::move(*parts), std::move(root)).run();
  if (absolute) {
    for (std::string& path : found) path.insert(path.begin(), '/');
  }
  return found;
}

}  // namespace sloth
