#include "runner/engine/run_recorder.h"

#include <atomic>

#include <catch2/catch.hpp>

namespace sloth {
namespace {

// Counts what it is given; fails when told to.
class CountingLog final : public RunLog {
 public:
  struct Counts {
    std::atomic<int> begun{0}, appended{0}, ended{0}, flushed{0};
    std::atomic<std::int64_t> resumed_after{0};
    std::atomic<bool> full{false};
  };
  explicit CountingLog(Counts& counts) : counts_(counts) {}

  Result<void> begin(const RunRecord&) override {
    ++counts_.begun;
    return {};
  }
  Result<void> resume(const std::string&, std::int64_t before, std::int64_t) override {
    counts_.resumed_after = before;
    return {};
  }
  Result<void> flush() override {
    ++counts_.flushed;
    return {};
  }
  Result<void> append(const Event&) override {
    if (counts_.full) return Error{Code::kIo, "no space left on device"};
    ++counts_.appended;
    return {};
  }
  Result<void> end(const std::string&, std::int64_t, int) override {
    ++counts_.ended;
    return {};
  }
  Result<std::vector<RunRecord>> runs(std::size_t) override { return std::vector<RunRecord>{}; }
  Result<std::vector<TaskRecord>> tasks(const std::string&) override { return std::vector<TaskRecord>{}; }
  Result<std::string> output(const std::string&, const std::string&) override { return std::string(); }
  Result<void> prune(std::size_t) override { return {}; }

 private:
  Counts& counts_;
};

Event output_event(std::size_t bytes = 1) {
  Event event;
  event.run = "r";
  event.task = "t";
  event.body = TaskOutput{OutputStream::kStdout, std::string(bytes, 'x')};
  return event;
}

struct RecorderFixture {
  CountingLog::Counts counts;
  SystemClock clock;
  Executor executor{{.workers = 1}};
  RunRecorder recorder{executor, clock, RunRecord{"r", "tasks.lua", 0, 0, -1, 1},
                       [this]() -> Result<std::unique_ptr<RunLog>> {
                         return Result<std::unique_ptr<RunLog>>(std::make_unique<CountingLog>(counts));
                       }};
};

TEST_CASE("every event is in the log when the recorder is closed") {
  RecorderFixture fixture;
  REQUIRE(fixture.recorder.opened().ok());
  for (int i = 0; i < 1000; ++i) fixture.recorder.on_event(output_event());
  CHECK(fixture.recorder.close(0).ok());
  CHECK(fixture.counts.begun == 1);
  CHECK(fixture.counts.appended == 1000);
  CHECK(fixture.counts.ended == 1);
  CHECK(fixture.recorder.close(0).ok());
  CHECK(fixture.counts.ended == 1);
}

TEST_CASE("a run that goes on is resumed in the log instead of begun, and nothing is held back") {
  RecorderFixture fixture;
  REQUIRE(fixture.recorder.opened().ok());
  fixture.recorder.resume_after(4711);
  REQUIRE(fixture.recorder.begin().ok());
  CHECK(fixture.counts.resumed_after == 4711);
  fixture.recorder.on_event(output_event());
  CHECK(fixture.recorder.close(0).ok());
  CHECK(fixture.counts.begun == 0);
  CHECK(fixture.counts.appended == 1);
  CHECK(fixture.counts.flushed == 1);
  CHECK(fixture.counts.ended == 1);
}

TEST_CASE("more output than may be queued is written without waiting for the end") {
  RecorderFixture fixture;
  for (int i = 0; i < 100; ++i) fixture.recorder.on_event(output_event(std::size_t{1} << 20));
  CHECK(fixture.counts.appended >= 60);
  CHECK(fixture.recorder.close(0).ok());
  CHECK(fixture.counts.appended == 100);
}

TEST_CASE("a log that cannot be opened is an error that opened() gives") {
  SystemClock clock;
  Executor executor({.workers = 1});
  RunRecorder recorder(executor, clock, RunRecord{}, []() -> Result<std::unique_ptr<RunLog>> {
    return Error{Code::kIo, "runs.db: permission denied"};
  });
  CHECK(recorder.opened().error().message == "runs.db: permission denied");
  recorder.on_event(output_event());
  CHECK_FALSE(recorder.close(0).ok());
}

TEST_CASE("a log that fails during the run stops being written and the failure is told at the end") {
  RecorderFixture fixture;
  fixture.counts.full = true;
  for (int i = 0; i < 10; ++i) fixture.recorder.on_event(output_event());
  const auto closed = fixture.recorder.close(0);
  REQUIRE_FALSE(closed.ok());
  CHECK(closed.error().message == "no space left on device");
  CHECK(fixture.counts.ended == 0);
}

}  // namespace
}  // namespace sloth
