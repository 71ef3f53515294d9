#include "runner/os/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include "runner/os/descriptor.h"

namespace sloth {
namespace {

constexpr std::size_t kStatBytes = 1024;

struct PathText {
  char text[48];
};

PathText proc_path(pid_t pid, const char* file) {
  PathText path;
  *fmt::format_to_n(path.text, sizeof(path.text) - 1, "/proc/{}/{}", pid, file).out = '\0';
  return path;
}

// Up to `size` bytes of a file of /proc; empty when it cannot be read.
std::string_view read_some(pid_t pid, const char* file, char* into, std::size_t size) {
  const Descriptor descriptor(::open(proc_path(pid, file).text, O_RDONLY | O_CLOEXEC));
  if (!descriptor.open()) return {};
  const ssize_t count = ::read(descriptor.get(), into, size);
  return count > 0 ? std::string_view(into, static_cast<std::size_t>(count)) : std::string_view();
}

// "PID (name) STATE PARENT GROUP ...", proc(5). The name may hold blanks and parentheses.
std::optional<ProcessRecord> parse_stat(pid_t pid, std::string_view text) {
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 3 >= text.size()) return std::nullopt;
  const char state = text[name_end + 2];
  text.remove_prefix(name_end + 3);

  constexpr std::size_t kFirst = 4;  // the number, in proc(5), of the field after the state
  constexpr std::size_t kLast = 51;
  std::uint64_t fields[kLast + 1] = {};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (std::size_t i = kFirst; i <= kLast; ++i) {
    while (at < end && *at == ' ') ++at;
    const bool negative = at < end && *at == '-';
    const auto [next, failed] = std::from_chars(negative ? at + 1 : at, end, fields[i]);
    if (failed != std::errc()) return std::nullopt;
    if (negative) fields[i] = 0;
    at = next;
  }

  ProcessRecord record;
  record.pid = pid;
  record.parent = static_cast<pid_t>(fields[4]);
  record.group = static_cast<pid_t>(fields[5]);
  record.start = fields[22];
  record.empty_environment = fields[50] != 0 && fields[50] == fields[51];
  const std::uint64_t threads = fields[20];
  record.living = (state != 'Z' && state != 'X') || threads > 1;
  return record;
}

// Calls `visit` with every number that names an entry of `path`.
template <class Visit>
void each_number_in(const char* path, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path), &::closedir);
  if (directory == nullptr) return;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    pid_t number = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (failed == std::errc() && end == name.data() + name.size()) visit(number);
  }
}

// False when it cannot be read.
bool add_children_of_thread(pid_t pid, pid_t thread, std::vector<pid_t>& children) {
  const std::string path = fmt::format("/proc/{}/task/{}/children", pid, thread);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return false;
  std::string text(4096, '\0');
  std::size_t size = 0;
  while (const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size)) {
    if (count < 0) break;
    size += static_cast<std::size_t>(count);
    if (size == text.size()) text.resize(text.size() * 2);
  }
  const char* at = text.data();
  const char* const end = at + size;
  for (pid_t child = 0; at < end; ++at) {
    const auto [next, failed] = std::from_chars(at, end, child);
    if (failed != std::errc()) break;
    children.push_back(child);
    at = next;
  }
  return true;
}

bool kernel_lists_children() { return ::access("/proc/thread-self/children", F_OK) == 0; }

// For kernels built without the lists of children.
std::vector<pid_t> children_by_parent(pid_t parent) {
  std::vector<pid_t> children;
  each_number_in("/proc", [&](pid_t pid) {
    const auto record = process_record(pid);
    if (record && record->parent == parent) children.push_back(pid);
  });
  return children;
}

}  // namespace

std::optional<ProcessRecord> process_record(pid_t pid) {
  char buffer[kStatBytes];
  return parse_stat(pid, read_some(pid, "stat", buffer, sizeof(buffer)));
}

ProcessList list_processes() {
  ProcessList list;
  each_number_in("/proc", [&](pid_t pid) {
    const ProcessEntry entry{pid, ::getpgid(pid), ::getsid(pid)};
    if (entry.group < 0 || entry.session < 0) {
      list.complete = false;
    } else if (entry.group != 0 || entry.session != 0) {
      list.entries.push_back(entry);
    }
  });
  return list;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  bool readable = false;
  // Each thread has its own.
  each_number_in(proc_path(pid, "task").text, [&](pid_t thread) {
    if (add_children_of_thread(pid, thread, children)) readable = true;
  });
  return readable || kernel_lists_children() ? children : children_by_parent(pid);
}

std::vector<pid_t> orphans_of(pid_t pid) {
  std::vector<pid_t> children;
  const bool readable = add_children_of_thread(pid, pid, children);
  return readable || kernel_lists_children() ? children : children_by_parent(pid);
}

Holds environment_holds(pid_t pid, std::string_view entry, std::string& buffer) {
  const Descriptor file(::open(proc_path(pid, "environ").text, O_RDONLY | O_CLOEXEC));
  if (!file.open()) return errno == EACCES || errno == EPERM ? Holds::kNo : Holds::kUnknown;
  constexpr std::size_t kChunk = 16 * 1024;
  std::size_t size = 0;
  for (;;) {
    if (buffer.size() < size + kChunk) buffer.resize(size + kChunk);
    const ssize_t count = ::read(file.get(), buffer.data() + size, kChunk);
    if (count > 0) size += static_cast<std::size_t>(count);
    if (count < static_cast<ssize_t>(kChunk)) break;
  }

  if (size == 0) {
    // Also what is read when the process begins a new program just now.
    const auto record = process_record(pid);
    return record && record->empty_environment ? Holds::kNo : Holds::kUnknown;
  }
  const std::string_view text(buffer.data(), size);
  for (auto at = text.find(entry); at != std::string_view::npos; at = text.find(entry, at + 1)) {
    const std::size_t end = at + entry.size();
    const bool whole = end == size || text[end] == '\0' || text[end] == '/';
    if (whole && (at == 0 || text[at - 1] == '\0')) return Holds::kYes;
  }
  return Holds::kNo;
}

std::string process_command(pid_t pid, std::size_t limit) {
  std::string command(limit, '\0');
  command.resize(read_some(pid, "cmdline", command.data(), limit).size());
  while (!command.empty() && command.back() == '\0') command.pop_back();
  std::replace(command.begin(), command.end(), '\0', ' ');
  if (!command.empty()) return command;

  char buffer[64];
  std::string_view name = read_some(pid, "comm", buffer, sizeof(buffer));
  if (name.ends_with('\n')) name.remove_suffix(1);
  return fmt::format("[{}]", name);
}

}  // namespace sloth
