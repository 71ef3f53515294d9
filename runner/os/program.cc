#include "runner/os/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runner/os/descriptor.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

// 0 when `path` is a file that we may execute, else the errno that says why not.
int why_not_executable(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  if (!S_ISREG(info.st_mode)) return EACCES;
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

bool is_absent(int error) { return error == ENOENT || error == ENOTDIR; }

std::string from_directory(std::string_view path, const std::string& directory) {
  if (path.starts_with('/') || directory.empty()) return std::string(path);
  return fmt::format("{}/{}", directory, path);
}

Error refusal(std::string_view command, const std::string& path, int error) {
  if (error == EISDIR) {
    return Error{Code::kRefused, fmt::format("cannot run \"{}\": {} is a directory", command, path)};
  }
  if (error == EACCES) {
    return Error{Code::kRefused, fmt::format("cannot run \"{}\": {} is not executable (chmod +x makes it so)",
                                             command, path)};
  }
  return Error{code_of(error), fmt::format("cannot run \"{}\": {}: {}", command, path, reason_of(error))};
}

Error not_found(std::string_view command, std::string_view hint) {
  return Error{Code::kNotFound, fmt::format("command not found: {}{}", command, hint)};
}

std::string first_bytes(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.open()) return {};
  char bytes[256];
  const ssize_t count = ::read(file.get(), bytes, sizeof(bytes));
  return count > 0 ? std::string(bytes, static_cast<std::size_t>(count)) : std::string();
}

// The program of a "#!" line; empty when there is none.
std::string interpreter_of(std::string_view head) {
  if (!head.starts_with("#!")) return {};
  std::string_view line =
      head.substr(2, head.find('\n') == std::string_view::npos ? head.npos : head.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line.substr(0, line.find_first_of(" \t")));
}

}  // namespace

Result<std::string> find_program(const std::string& command, std::string_view path,
                                 const std::string& directory) {
  if (command.find('/') != std::string::npos) {
    std::string file = from_directory(command, directory);
    const int error = why_not_executable(file);
    if (error == 0) return file;
    if (is_absent(error))
      return not_found(command, command == file ? "" : fmt::format(" (in {})", directory));
    return refusal(command, file, error);
  }

  if (path.empty()) return not_found(command, " (PATH is empty)");
  std::string refused_file;
  int refused_error = 0;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string_view entry = path.substr(start, end - start);
    start = end + 1;
    std::string file = from_directory(
        entry.empty() ? fmt::format("./{}", command) : fmt::format("{}/{}", entry, command), directory);
    const int error = why_not_executable(file);
    if (error == 0) return file;
    // A directory of that name is no command, as in a shell; a file without the x bit may be meant.
    if (refused_error == 0 && !is_absent(error) && error != EISDIR) {
      refused_error = error;
      refused_file = std::move(file);
    }
  }
  if (refused_error != 0) return refusal(command, refused_file, refused_error);
  return not_found(command, "");
}

Error explain_exec_failure(const std::string& program, int error) {
  const std::string head = first_bytes(program);
  std::string interpreter = interpreter_of(head);
  if (!interpreter.empty() && (is_absent(error) || error == EACCES)) {
    if (interpreter.back() == '\r') {
      interpreter.pop_back();
      return Error{
          Code::kRefused,
          fmt::format("cannot run {}: its first line, #!{}, ends in a carriage return; save the file with "
                      "Unix line ends",
                      program, interpreter)};
    }
    return Error{Code::kRefused, fmt::format("cannot run {}: its interpreter {} {}", program, interpreter,
                                             is_absent(error) ? "does not exist" : "is not executable")};
  }
  if (is_absent(error)) {
    return Error{
        Code::kRefused,
        fmt::format("cannot run {}: the loader that it names does not exist; it was built for another system",
                    program)};
  }
  if (error == ENOEXEC) {
    return Error{
        Code::kRefused,
        fmt::format("cannot run {}: it is no program for this machine (built for another one, or damaged)",
                    program)};
  }
  const bool refused = error == EACCES || error == EPERM;
  return Error{refused ? Code::kRefused : (error == ENOMEM || error == EAGAIN ? Code::kLimit : Code::kIo),
               fmt::format("cannot run {}: {}", program, reason_of(error))};
}

bool is_plain_script(const std::string& program) {
  const std::string head = first_bytes(program);
  return head.find('\0') == std::string::npos && !head.starts_with("#!");
}

}  // namespace sloth
