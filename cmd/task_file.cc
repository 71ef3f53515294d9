#include "cmd/task_file.h"

#include "runner/os/file_tree.h"

namespace sloth {
namespace {

constexpr std::uint64_t kLargestFile = 8u << 20;
constexpr const char* kNames[] = {"tasks.lua", "tasks.sloth", "sloth.lua"};

}  // namespace

std::string find_task_file(const std::string& directory) {
  for (std::string at = directory;; at = directory_of(at)) {
    for (const char* name : kNames) {
      // In the directory itself the bare name, as the user would have given it.
      if (exists(join_path(at, name))) return at == directory ? name : join_path(at, name);
    }
    if (at == "/" || at.empty() || at == ".") return "";
  }
}

bool looks_like_file(const std::string& word) {
  return word.ends_with(".lua") || word.ends_with(".sloth") || word.find('/') != std::string::npos;
}

Result<PlanVm::File> read_task_file(const std::string& path) {
  const std::string absolute = join_path(current_directory(), path);
  Result<std::string> text = read_file(absolute, kLargestFile);
  if (!text) {
    if (text.error().code == Code::kLimit) {
      return Error{Code::kLimit, path + ": larger than 8 MiB, the most that a task file may have"};
    }
    Error error = text.error();
    // As the user wrote it: the error names the absolute path.
    if (const auto at = error.message.find(absolute); at != std::string::npos) {
      error.message.replace(at, absolute.size(), path);
    }
    return error;
  }
  if (text->find_first_not_of(" \t\r\n") == std::string::npos) {
    return Error{
        Code::kInvalid,
        path + ": the file is empty; declare a task: task(\"hello\"):command(\"echo hello\"):build()"};
  }
  return PlanVm::File{path, directory_of(absolute), std::move(*text)};
}

}  // namespace sloth
