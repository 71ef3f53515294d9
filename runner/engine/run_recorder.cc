#include "runner/engine/run_recorder.h"

#include <utility>
#include <variant>

namespace sloth {
namespace {

constexpr std::size_t kMostQueued = std::size_t{32} << 20;
constexpr Duration kBatchAge = std::chrono::milliseconds(100);
constexpr std::size_t kKeptRuns = 1000;

std::size_t size_of(const Event& event) {
  const auto* output = std::get_if<TaskOutput>(&event.body);
  return sizeof(Event) + (output != nullptr ? output->bytes.size() : 0);
}

}  // namespace

RunRecorder::RunRecorder(Executor& executor, const Clock& clock, RunRecord run, Open open)
    : executor_(executor), clock_(clock), run_(std::move(run)) {
  executor_.post_blocking(
      [this, open = std::move(open), pass = gate_.enter()]() mutable { open_log(std::move(open)); });
}

RunRecorder::~RunRecorder() { gate_.close(); }

void RunRecorder::open_log(Open open) {
  Result<std::unique_ptr<RunLog>> log = open();
  MutexLock lock(mutex_);
  if (log) {
    log_ = std::move(*log);
  } else {
    error_ = log.error();
    queue_.clear();
  }
  opened_ = true;
  changed_.notify_all();
}

Result<void> RunRecorder::opened() {
  MutexLock lock(mutex_);
  while (!opened_) changed_.wait(mutex_);
  if (error_) return *error_;
  return {};
}

void RunRecorder::set_file(std::string file) {
  MutexLock lock(mutex_);
  run_.file = std::move(file);
}

void RunRecorder::resume_after(std::int64_t before) {
  MutexLock lock(mutex_);
  before_ = before;
}

Result<void> RunRecorder::begin_in(RunLog& log, const RunRecord& run, std::optional<std::int64_t> before) {
  return before ? log.resume(run.id, *before, run.pid) : log.begin(run);
}

Result<void> RunRecorder::begin() {
  RunRecord run;
  std::optional<std::int64_t> before;
  RunLog* log = nullptr;
  {
    MutexLock lock(mutex_);
    if (error_) return *error_;
    if (std::exchange(begun_, true)) return {};
    run = run_;
    before = before_;
    log = log_.get();
  }
  return begin_in(*log, run, before);
}

void RunRecorder::on_event(const Event& event) {
  bool arm = false;
  {
    MutexLock lock(mutex_);
    if (error_ || closed_) return;
    queue_.push_back(event);
    queued_bytes_ += size_of(event);
    if (!pending_) {
      pending_ = true;
      arm = true;
    }
  }
  if (arm) {
    const TimerId timer = executor_.run_at(clock_.now() + kBatchAge, [this, pass = gate_.enter()]() mutable {
      executor_.post_blocking([this, pass = std::move(pass)] { write_batch(); });
    });
    MutexLock lock(mutex_);
    timer_ = timer;
  }
  MutexLock lock(mutex_);
  if (queued_bytes_ <= kMostQueued) return;
  // Not through the timer: the thread that would run it may be one that waits here.
  executor_.post_blocking([this, pass = gate_.enter()] { write_batch(); });
  while (queued_bytes_ > kMostQueued && !error_ && !closed_) changed_.wait(mutex_);
}

void RunRecorder::write_batch() {
  std::vector<Event> batch;
  RunLog* log = nullptr;
  bool begin = false;
  RunRecord run;
  std::optional<std::int64_t> before;
  {
    MutexLock lock(mutex_);
    while (!opened_ || writing_) changed_.wait(mutex_);
    pending_ = false;
    batch.swap(queue_);
    queued_bytes_ = 0;
    log = log_.get();
    if (log == nullptr || error_ || batch.empty()) return changed_.notify_all();
    begin = !std::exchange(begun_, true);
    if (begin) run = run_;
    before = before_;
    writing_ = true;
    changed_.notify_all();
  }
  Result<void> written = begin ? begin_in(*log, run, before) : Result<void>();
  for (std::size_t i = 0; written && i < batch.size(); ++i) written = log->append(batch[i]);
  // What comes next may be long in coming, and a process that dies until then must not have said in vain what
  // ended.
  if (written) written = log->flush();
  if (!written) fail(written.error());
  MutexLock lock(mutex_);
  writing_ = false;
  changed_.notify_all();
}

Result<void> RunRecorder::close(int exit_code) {
  TimerId timer = 0;
  {
    MutexLock lock(mutex_);
    if (std::exchange(closed_, true)) return {};
    timer = timer_;
  }
  if (timer != 0) executor_.cancel(timer);
  write_batch();
  gate_.close();
  RunLog* log = nullptr;
  std::string run;
  {
    MutexLock lock(mutex_);
    if (error_) return *error_;
    if (!begun_) return {};
    log = log_.get();
    run = run_.id;
  }
  if (auto ended = log->end(run, clock_.wall_ms(), exit_code); !ended) return ended;
  return log->prune(kKeptRuns);
}

void RunRecorder::fail(const Error& error) {
  MutexLock lock(mutex_);
  if (!error_) error_ = error;
  queue_.clear();
  queued_bytes_ = 0;
}

}  // namespace sloth
