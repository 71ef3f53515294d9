#include "cmd/past_runs.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "runner/base/nearest.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

constexpr std::size_t kMostRuns = 1000;

// The name of the program that a process runs. An upgrade replaces the file under it.
std::string program_of(const std::string& process) {
  std::error_code error;
  std::string name = std::filesystem::read_symlink("/proc/" + process + "/exe", error).filename().string();
  constexpr std::string_view kReplaced = " (deleted)";
  if (name.ends_with(kReplaced)) name.resize(name.size() - kReplaced.size());
  return name;
}

}  // namespace

Result<std::unique_ptr<RunLog>> open_past_runs(const Config& config) {
  const std::string path = config.state_directory + "/runs.db";
  if (!exists(path)) return Error{Code::kNotFound, "there is no record of a run yet"};
  return open_sqlite_run_log(path);
}

Result<RunRecord> find_run(RunLog& log, const std::string& id) {
  const auto runs = log.runs(kMostRuns);
  if (!runs) return runs.error();
  std::vector<std::string> ids;
  for (const RunRecord& run : *runs) {
    if (id.empty() || run.id == id) return run;
    ids.push_back(run.id);
  }
  if (id.empty()) return Error{Code::kNotFound, "there is no record of a run yet"};
  return Error{Code::kNotFound,
               fmt::format("no run \"{}\"{}; see: sloth runs list", id, did_you_mean(id, ids))};
}

bool is_running(const RunRecord& run) {
  if (run.ended_ms != 0) return false;
  const std::string program = program_of(std::to_string(run.pid));
  return !program.empty() && program == program_of("self");
}

}  // namespace sloth
