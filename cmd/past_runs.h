// Past runs: the record of runs, as commands look at it.
//
// Thread-safe: free functions. Block on the disk.
#pragma once

#include <memory>
#include <string>

#include "cmd/config.h"
#include "runner/base/result.h"
#include "runner/store/run_log.h"

namespace sloth {

// kNotFound when nothing was ever recorded; else as open_sqlite_run_log().
Result<std::unique_ptr<RunLog>> open_past_runs(const Config& config);

// The run of that id, or the last one when `id` is empty. kNotFound with the nearest id.
Result<RunRecord> find_run(RunLog& log, const std::string& id);

// It has not ended, and its process is there: one of this program, for a pid is soon somebody else's.
bool is_running(const RunRecord& run);

}  // namespace sloth
