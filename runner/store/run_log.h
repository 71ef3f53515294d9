// RunLog: the record of runs, tasks and their output, kept after the process is gone.
//
// Thread-safe. Calls may block on the disk: not on the CPU lane. One test body over every
// implementation (memory, sqlite).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/result.h"
#include "runner/base/value.h"
#include "runner/task/event.h"

namespace sloth {

struct RunRecord {
  std::string id;
  std::string file;
  std::int64_t started_ms = 0;  // wall clock
  std::int64_t ended_ms = 0;    // 0: still running, or the process died
  int exit_code = -1;           // -1 until ended
  std::int64_t pid = 0;
  std::string command =
      {};  // JSON: {"directory": where it was typed, "words": ["run", ...]}; "" when not known
};

struct TaskRecord {
  std::string task;
  std::string agent;
  std::string outcome;  // outcome_name(), "" while running
  std::string message;
  int attempts = 0;
  std::int64_t elapsed_ms = 0;
  std::optional<Value> outputs = {};  // of its end; empty when JSON cannot keep exactly these
};

// How much is kept, and for how long events may stay in memory before they are written.
struct RunLogLimits {
  std::size_t output_bytes = std::size_t{64} << 20;  // per task; what comes after is cut, and the cut marked
  Duration batch_age = std::chrono::milliseconds(250);
  std::size_t batch_bytes = std::size_t{1} << 20;
  std::size_t database_bytes = 0;                // largest size of the file; 0: as large as the disk allows
  Duration busy_wait = std::chrono::seconds(5);  // for another process that is writing
};

class RunLog {
 public:
  virtual ~RunLog() = default;

  // Written at once. kInvalid when there is a run of that id.
  virtual Result<void> begin(const RunRecord& run) = 0;
  // Goes on with a run: its end is taken back, its process is `pid` from now on, what follows adds to what
  // its tasks have; an attempt that starts again by the same number replaces what is kept of its output.
  // Written at once. kNotFound when there is no such run. kInvalid when it is being recorded here, or its
  // process is not `before`: another one was quicker.
  virtual Result<void> resume(const std::string& run, std::int64_t before, std::int64_t pid) = 0;
  // Appends what matters of the event: task starts and ends, output, logs. Output is kept byte-exact up
  // to the limit per task, then marked as cut. kNotFound when the run was not begun here or has ended.
  // An error of the disk concerns the whole batch, which is kept and tried again with the next one; when too
  // much has gathered, its output is given up (and marked), never a start or an end.
  virtual Result<void> append(const Event& event) = 0;
  // Writes what append() holds back. For a caller that knows that nothing may come for a while.
  virtual Result<void> flush() { return {}; }
  // Written at once. kNotFound when the run was not begun here or has ended.
  virtual Result<void> end(const std::string& run, std::int64_t ended_ms, int exit_code) = 0;

  // Newest first.
  virtual Result<std::vector<RunRecord>> runs(std::size_t limit) = 0;
  // In the order in which they were first heard of. kNotFound when there is no such run.
  virtual Result<std::vector<TaskRecord>> tasks(const std::string& run) = 0;
  // Output of a task's attempts, both streams in order of arrival. "" when it wrote nothing; kNotFound when
  // there is no such run, or the run has no such task.
  virtual Result<std::string> output(const std::string& run, const std::string& task) = 0;
  // Removes all but the newest `keep` ended runs.
  virtual Result<void> prune(std::size_t keep) = 0;
};

std::unique_ptr<RunLog> make_memory_run_log(const RunLogLimits& limits = {});

// Opens or makes the database, and its directory (mode 0700) when missing. WAL, group commit: events are
// written in batches by the caller's thread, a transaction per batch of at most `batch_age` or `batch_bytes`,
// whichever comes first; end() and the readers write what is left. kIo with the path, the reason and the
// cure; kInvalid for a damaged file, one of a newer version or of another program: it is named and left
// untouched. Several processes may use it at the same time; kUnavailable when one of them held it for
// `busy_wait`.
Result<std::unique_ptr<RunLog>> open_sqlite_run_log(const std::string& path, const RunLogLimits& limits = {});

}  // namespace sloth
