#include "runner/os/accounts.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>

#include "runner/base/nearest.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

constexpr std::size_t kLongestName = 32;
constexpr std::size_t kMostLineBytes = std::size_t{1} << 20;  // groups may list thousands of users

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

Result<File> open_file(const std::string& path) {
  File file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) return path_error("read", path, errno);
  return file;
}

// Each entry of the file until `wanted` says that it is enough.
template <class Entry, class Next>
Result<void> each_entry(const std::string& path, Next next, const std::function<bool(const Entry&)>& wanted) {
  auto file = open_file(path);
  if (!file) return file.error();
  std::string buffer(4096, '\0');
  for (;;) {
    const long start = std::ftell(file->get());
    Entry entry{};
    Entry* found = nullptr;
    const int error = next(file->get(), &entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE && buffer.size() < kMostLineBytes) {
      buffer.resize(buffer.size() * 2);
      std::fseek(file->get(), start, SEEK_SET);
    } else if (error == ENOENT || (error == 0 && found == nullptr)) {
      return {};
    } else if (error != 0) {
      return path_error("read", path, error);
    } else if (wanted(entry)) {
      return {};
    }
  }
}

UserAccount account_of(const passwd& entry) {
  return UserAccount{entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir};
}

}  // namespace

bool is_user_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto rest = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; };
  return !name.empty() && name.size() <= kLongestName && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), rest);
}

Result<UserAccount> find_user(const std::string& name, const std::string& passwd_file) {
  if (!is_user_name(name)) {
    return Error{Code::kRefused,
                 fmt::format("\"{:.64}\" is no user's name: letters, digits, \".\", \"-\" and \"_\", "
                             "with a letter first",
                             name)};
  }
  std::optional<UserAccount> found;
  std::vector<std::string> names;
  auto read = each_entry<passwd>(passwd_file, ::fgetpwent_r, [&](const passwd& entry) {
    if (name == entry.pw_name) found = account_of(entry);
    names.emplace_back(entry.pw_name);
    return found.has_value();
  });
  if (!read) return read.error();
  if (!found) {
    return Error{Code::kNotFound,
                 fmt::format("no user \"{}\" in {}{}", name, passwd_file, did_you_mean(name, names))};
  }
  return std::move(*found);
}

Result<UserAccount> find_user(uid_t uid, const std::string& passwd_file) {
  std::optional<UserAccount> found;
  auto read = each_entry<passwd>(passwd_file, ::fgetpwent_r, [&](const passwd& entry) {
    if (entry.pw_uid == uid) found = account_of(entry);
    return found.has_value();
  });
  if (!read) return read.error();
  if (!found) return Error{Code::kNotFound, fmt::format("no user with number {} in {}", uid, passwd_file)};
  return std::move(*found);
}

Result<std::vector<gid_t>> groups_of(const std::string& user, gid_t first, const std::string& group_file) {
  std::vector<gid_t> groups = {first};
  auto read = each_entry<group>(group_file, ::fgetgrent_r, [&](const group& entry) {
    for (char** member = entry.gr_mem; member != nullptr && *member != nullptr; ++member) {
      if (user == *member && std::find(groups.begin(), groups.end(), entry.gr_gid) == groups.end()) {
        groups.push_back(entry.gr_gid);
      }
    }
    return false;
  });
  if (!read) return read.error();
  return groups;
}

}  // namespace sloth
