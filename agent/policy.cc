#include "agent/policy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "runner/base/duration.h"
#include "runner/base/nearest.h"
#include "runner/os/accounts.h"
#include "runner/os/descriptor.h"
#include "runner/os/file_kind.h"
#include "runner/os/os_error.h"
#include "runner/os/path.h"

namespace sloth {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostBytes = std::size_t{64} << 10;
constexpr std::uint64_t kLeastMemory = std::uint64_t{16} << 20;
constexpr std::uint64_t kLeastOutput = std::uint64_t{1} << 20;
constexpr std::uint64_t kLeastFiles = 64;
constexpr double kMostNumber = 9007199254740992.0;  // 2^53

std::string who(uid_t uid) {
  auto user = find_user(uid);
  return user ? user->name : std::to_string(uid);
}

// Others may not write it, neither the file nor, by putting another in its place, the directory.
Result<void> check_access(const std::string& path, const struct stat& status) {
  const uid_t self = ::geteuid();
  const auto safe = [&](const struct stat& entry) {
    const bool shared = (entry.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    const bool sticky_directory = S_ISDIR(entry.st_mode) && (entry.st_mode & S_ISVTX) != 0;
    return (entry.st_uid == 0 || entry.st_uid == self) && (!shared || sticky_directory);
  };
  const auto refuse = [&](const std::string& what, const struct stat& entry) {
    return Error{Code::kRefused,
                 fmt::format("{}: others may change it (owner {}, mode {:04o}); make it {}'s and run: "
                             "chmod go-w {}",
                             what, who(entry.st_uid), entry.st_mode & 07777, who(self), what)};
  };
  if (!safe(status)) return refuse(path, status);
  const std::string directory = directory_of(path);
  struct stat around {};
  if (::stat(directory.c_str(), &around) != 0) return path_error("read", directory, errno);
  if (!safe(around)) return refuse(directory, around);
  return {};
}

// Empty when it is not there.
Result<std::optional<std::string>> read_policy(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) {
    if (errno == ENOENT) return std::optional<std::string>();
    return path_error("read", path, errno);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return path_error("read", path, errno);
  if (!S_ISREG(status.st_mode)) return wrong_kind("read", path, status.st_mode);
  if (auto safe = check_access(path, status); !safe) return safe.error();
  std::string text(kMostBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return path_error("read", path, errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > kMostBytes)
    return Error{Code::kLimit, fmt::format("{}: larger than {} bytes", path, kMostBytes)};
  text.resize(size);
  return std::optional<std::string>(std::move(text));
}

// Reads the keys of one file; each error names file, key and what it may be.
class PolicyReader {
 public:
  PolicyReader(const std::string& path, AgentPolicy& policy) : path_(path), policy_(policy) {}

  Result<void> read(const std::string& key, const Json& value) {
    AttemptLimits& limits = policy_.limits;
    if (key == "max_attempts") {
      std::uint64_t count = 0;
      if (auto read = number(key, value, 1, 10'000, count); !read) return read;
      policy_.max_attempts = static_cast<int>(count);
      return {};
    }
    if (key == "users") return users(value);
    if (key == "default_user") return name(key, value, policy_.default_user);
    if (key == "memory") return size(key, value, kLeastMemory, limits.memory);
    if (key == "output") return size(key, value, kLeastOutput, limits.output);
    if (key == "processes") return number(key, value, 1, 10'000'000, limits.processes);
    if (key == "files") return number(key, value, kLeastFiles, 10'000'000, limits.files);
    if (key == "cpu") return duration(key, value, limits.cpu);
    if (key == "wall") return duration(key, value, limits.wall);
    return Error{Code::kInvalid,
                 fmt::format("{}: unknown key \"{}\"{}", path_, key,
                             did_you_mean(key, {"max_attempts", "users", "default_user", "memory", "cpu",
                                                "processes", "files", "output", "wall"}))};
  }

 private:
  [[nodiscard]] Error wrong(const std::string& key, const std::string& what) const {
    return Error{Code::kInvalid, fmt::format("{}: \"{}\" {}", path_, key, what)};
  }

  Result<void> number(const std::string& key, const Json& value, std::uint64_t least, std::uint64_t most,
                      std::uint64_t& out) const {
    const bool whole =
        value.is_number_integer() && (value.is_number_unsigned() || value.get<std::int64_t>() >= 0);
    const std::uint64_t read = whole ? value.get<std::uint64_t>() : 0;
    if (!whole || read < least || read > most) {
      return wrong(key, fmt::format("must be a whole number from {} to {}", least, most));
    }
    out = read;
    return {};
  }

  Result<void> size(const std::string& key, const Json& value, std::uint64_t least,
                    std::uint64_t& out) const {
    const auto bytes = value.is_string() ? parse_size(value.get<std::string>()) : std::nullopt;
    if (!bytes || *bytes < least) {
      return wrong(key,
                   fmt::format("must be a size of {} MiB or more, as \"512MiB\" or \"2GiB\"", least >> 20));
    }
    out = *bytes;
    return {};
  }

  static std::optional<std::uint64_t> parse_size(const std::string& text) {
    constexpr std::pair<std::string_view, int> kUnits[] = {
        {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    double count = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), count, std::chars_format::fixed);
    if (error != std::errc() || !(count >= 0)) return std::nullopt;
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    for (const auto& [name, shift] : kUnits) {
      if (unit != name) continue;
      const double bytes = std::ldexp(count, shift);
      if (bytes > kMostNumber) return std::nullopt;
      return static_cast<std::uint64_t>(bytes);
    }
    return std::nullopt;
  }

  Result<void> duration(const std::string& key, const Json& value, Duration& out) const {
    if (!value.is_string()) return wrong(key, "must be a duration in quotes, as \"1h\" or \"90s\"");
    auto read = parse_duration(value.get<std::string>());
    if (!read) return wrong(key, "is no duration: " + read.error().message);
    if (*read < std::chrono::seconds(1)) return wrong(key, "must be one second or more");
    out = *read;
    return {};
  }

  Result<void> name(const std::string& key, const Json& value, std::string& out) const {
    if (!value.is_string() || !is_user_name(value.get<std::string>())) {
      return wrong(key, "must be the name of a user, as \"nobody\"");
    }
    out = value.get<std::string>();
    return {};
  }

  Result<void> users(const Json& value) {
    if (!value.is_array()) return wrong("users", "must be a list of names, as [\"deploy\"]");
    for (const Json& entry : value) {
      std::string user;
      if (auto read = name("users", entry, user); !read) return read;
      policy_.users.push_back(std::move(user));
    }
    return {};
  }

  const std::string& path_;
  AgentPolicy& policy_;
};

}  // namespace

Result<AgentPolicy> AgentPolicy::load(const std::string& path) {
  auto text = read_policy(path);
  if (!text) return text.error();
  AgentPolicy policy;
  if (!*text) return policy;
  Json json;
  try {
    json = Json::parse(**text);
  } catch (const Json::parse_error& error) {
    return Error{Code::kInvalid, fmt::format("{}: not JSON: {}", path, error.what())};
  }
  if (!json.is_object())
    return Error{Code::kInvalid, fmt::format("{}: must be one JSON object: {{ ... }}", path)};
  PolicyReader reader(path, policy);
  for (const auto& [key, value] : json.items()) {
    if (auto read = reader.read(key, value); !read) return read.error();
  }
  return policy;
}

Result<AttemptAccount> AgentPolicy::account(const std::string& user) const {
  const uid_t self = ::geteuid();
  const std::string& wanted = user.empty() && self == 0 ? default_user : user;
  if (wanted.empty()) return AttemptAccount{"", self, ::getegid(), home_directory()};
  auto found = find_user(wanted);
  if (!found) return Error{Code::kRefused, found.error().message};
  if (self != 0) {
    if (found->uid == self) return AttemptAccount{"", self, ::getegid(), found->home};
    return Error{Code::kRefused,
                 fmt::format("the agent runs as {}, so it cannot run tasks as \"{}\"; only an agent that "
                             "is root can",
                             who(self), wanted)};
  }
  const auto listed = [&](const std::string& name) {
    return std::find(users.begin(), users.end(), name) != users.end();
  };
  if (wanted != default_user && !listed(wanted)) {
    return Error{
        Code::kRefused,
        fmt::format("the agent's policy does not let tasks run as \"{}\"; its list \"users\" {}", user,
                    users.empty() ? "is empty" : fmt::format("has: {}", fmt::join(users, ", ")))};
  }
  if (found->uid == 0) {
    if (!listed("root")) {
      return Error{
          Code::kRefused,
          fmt::format("\"{}\" is root, and the agent's policy does not list \"root\" in \"users\"", wanted)};
    }
    return AttemptAccount{"", self, ::getegid(), found->home};
  }
  return AttemptAccount{found->name, found->uid, found->gid, found->home};
}

}  // namespace sloth
