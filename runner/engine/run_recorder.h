// RunRecorder: writes the events of one run into a RunLog, behind the run's back.
//
// Thread-safe. Events are queued and written in batches on the blocking lane, so that no task waits for the
// disk (only once more than 32 MiB are queued). A log that fails while the run goes on is reported once, and
// the run goes on without.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/exec/executor.h"
#include "runner/exec/gate.h"
#include "runner/store/run_log.h"
#include "runner/task/event.h"

namespace sloth {

class RunRecorder final : public EventSink {
 public:
  using Open = UniqueFunction<Result<std::unique_ptr<RunLog>>()>;

  // Starts opening the log at once; the run begins in it with the first event, and without one it leaves no
  // trace. `executor` and `clock` outlive the recorder.
  RunRecorder(Executor& executor, const Clock& clock, RunRecord run, Open open);
  // Waits for what it posted. Blocks likewise.
  ~RunRecorder() override;

  // Waits until the log is open; the error when it could not be. Blocks: not on the executor's threads.
  Result<void> opened() EXCLUDES(mutex_);

  // The file that runs. Before the first event.
  void set_file(std::string file) EXCLUDES(mutex_);
  // The run is one that was begun by the process `before`, which is gone. Before begin(), which is then
  // needed.
  void resume_after(std::int64_t before) EXCLUDES(mutex_);
  // Writes that the run has begun without waiting for its first batch: for a run that leaves traces
  // elsewhere, which must be found again however soon this process dies. Blocks likewise. REQUIRES: opened().
  Result<void> begin() EXCLUDES(mutex_);

  void on_event(const Event& event) override EXCLUDES(mutex_);

  // Writes what is queued, then the run's end. Blocks likewise; no event may follow. Idempotent. The first
  // error that the log reported during the run, if any.
  Result<void> close(int exit_code) EXCLUDES(mutex_);

 private:
  void open_log(Open open) EXCLUDES(mutex_);
  void write_batch() EXCLUDES(mutex_);
  Result<void> begin_in(RunLog& log, const RunRecord& run, std::optional<std::int64_t> before);
  void fail(const Error& error) EXCLUDES(mutex_);

  Executor& executor_;
  const Clock& clock_;
  Gate gate_;  // jobs of this recorder that the executor still holds

  Mutex mutex_;
  CondVar changed_;
  RunRecord run_ GUARDED_BY(mutex_);
  std::optional<std::int64_t> before_ GUARDED_BY(mutex_);
  std::unique_ptr<RunLog> log_ GUARDED_BY(mutex_);
  std::vector<Event> queue_ GUARDED_BY(mutex_);
  std::size_t queued_bytes_ GUARDED_BY(mutex_) = 0;
  TimerId timer_ GUARDED_BY(mutex_) = 0;
  bool opened_ GUARDED_BY(mutex_) = false;  // or failed to
  bool begun_ GUARDED_BY(mutex_) = false;
  bool writing_ GUARDED_BY(mutex_) = false;  // a batch is being written
  bool pending_ GUARDED_BY(mutex_) = false;  // a timer or job will write what is queued
  bool closed_ GUARDED_BY(mutex_) = false;
  std::optional<Error> error_ GUARDED_BY(mutex_);
};

}  // namespace sloth
