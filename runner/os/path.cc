#include "runner/os/path.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "runner/os/file_tree.h"

namespace sloth {
namespace {

std::string_view without_trailing_slashes(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

// Field `index` of a line of /etc/passwd.
std::string_view passwd_field(std::string_view line, int index) {
  for (; index > 0; --index) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    line.remove_prefix(colon + 1);
  }
  return line.substr(0, line.find(':'));
}

// Read directly: getpwuid needs shared libraries even in a static program.
std::string home_from_passwd() {
  constexpr std::uint64_t kLimit = 16U << 20U;
  const auto text = read_file("/etc/passwd", kLimit);
  if (!text) return "/";
  const std::string user = std::to_string(::getuid());
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (passwd_field(line, 2) == user && passwd_field(line, 5).starts_with('/')) {
      return std::string(passwd_field(line, 5));
    }
  }
  return "/";
}

}  // namespace

std::string normal_path(std::string_view path) {
  const bool absolute = path.starts_with('/');
  std::vector<std::string_view> names;
  while (!path.empty()) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (name.empty() || name == ".") continue;
    if (name != "..") {
      names.push_back(name);
    } else if (!names.empty() && names.back() != "..") {
      names.pop_back();
    } else if (!absolute) {
      names.push_back(name);
    }
  }

  std::string normal = absolute ? "/" : "";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) normal += '/';
    normal += names[i];
  }
  return normal.empty() ? "." : normal;
}

std::string join_path(std::string_view base, std::string_view path) {
  if (path.starts_with('/') || base.empty()) return normal_path(path);
  std::string joined(base);
  joined.append(1, '/').append(path);
  return normal_path(joined);
}

std::string directory_of(std::string_view path) {
  path = without_trailing_slashes(path);
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(without_trailing_slashes(path.substr(0, slash + 1)));
}

std::string name_of(std::string_view path) {
  path = without_trailing_slashes(path);
  if (path == "/") return "/";
  const auto slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string current_directory() {
  const std::unique_ptr<char, void (*)(void*)> path(::getcwd(nullptr, 0), &std::free);
  return path != nullptr ? std::string(path.get()) : std::string(".");
}

std::string home_directory() {
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? std::string(home) : home_from_passwd();
}

}  // namespace sloth
