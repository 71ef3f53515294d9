// One body of tests over every implementation of RunLog.
#include <thread>

#include "runner/store/run_log.h"
#include "tests/unit/store/events.h"
#include "tests/unit/store/temp_dir.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

struct Memory {
  std::unique_ptr<RunLog> make(const RunLogLimits& limits = {}) { return make_memory_run_log(limits); }
};

struct Sqlite {
  std::unique_ptr<RunLog> make(const RunLogLimits& limits = {}) {
    auto log = open_sqlite_run_log(dir.file("state/runs.db"), limits);
    if (!log) FAIL(log.error().message);
    return std::move(*log);
  }
  TempDir dir;
};

// As above, each event written at once: no test may depend on what is buffered.
struct SqliteUnbuffered : Sqlite {
  std::unique_ptr<RunLog> make(RunLogLimits limits = {}) {
    limits.batch_age = Duration(0);
    return Sqlite::make(limits);
  }
};

#define EVERY_RUN_LOG(name) TEMPLATE_TEST_CASE(name, "[conformance]", Memory, Sqlite, SqliteUnbuffered)

EVERY_RUN_LOG("A run is there from begin to end, and its record says how it ended") {
  TestType maker;
  const auto log = maker.make();
  REQUIRE(log->begin(run_of("r1", 1000)));
  auto runs = log->runs(10);
  REQUIRE(runs);
  REQUIRE(runs->size() == 1);
  CHECK(runs->front().id == "r1");
  CHECK(runs->front().file == "tasks.lua");
  CHECK(runs->front().started_ms == 1000);
  CHECK(runs->front().ended_ms == 0);
  CHECK(runs->front().exit_code == -1);
  CHECK(runs->front().pid == 4711);

  REQUIRE(log->end("r1", 2000, 130));
  runs = log->runs(10);
  REQUIRE(runs);
  CHECK(runs->front().ended_ms == 2000);
  CHECK(runs->front().exit_code == 130);
}

EVERY_RUN_LOG("Runs come newest first, up to the limit") {
  TestType maker;
  const auto log = maker.make();
  for (const auto& [id, started] :
       {std::pair("b", 200), std::pair("a", 100), std::pair("d", 300), std::pair("e", 300)}) {
    REQUIRE(log->begin(run_of(id, started)));
  }
  const auto ids = [&](std::size_t limit) {
    std::string joined;
    const auto runs = log->runs(limit);
    REQUIRE(runs);
    for (const RunRecord& run : *runs) joined += run.id;
    return joined;
  };
  CHECK(ids(10) == "edba");
  CHECK(ids(2) == "ed");
  CHECK(ids(0).empty());
  CHECK(ids(SIZE_MAX) == "edba");
}

EVERY_RUN_LOG("A task's record follows its events") {
  TestType maker;
  const auto log = maker.make();
  REQUIRE(log->begin(run_of("r1")));
  const auto record = [&](std::size_t at) {
    const auto tasks = log->tasks("r1");
    REQUIRE(tasks);
    REQUIRE(tasks->size() > at);
    return tasks->at(at);
  };

  REQUIRE(log->append(event_of("r1", "", RunStarted{})));
  REQUIRE(log->append(event_of("r1", "build", TaskStarted{})));
  CHECK(record(0).task == "build");
  CHECK(record(0).outcome.empty());
  CHECK(record(0).attempts == 1);

  REQUIRE(log->append(event_of("r1", "build", TaskRetry{"exit code 1", Duration(1)})));
  Event second = event_of("r1", "build", TaskStarted{}, 2);
  second.agent = "web-1";
  REQUIRE(log->append(second));
  CHECK(record(0).attempts == 2);
  CHECK(record(0).agent == "web-1");

  Outcome outcome;
  outcome.kind = OutcomeKind::kTimedOut;
  outcome.message = "took\nlong \xE2\x9A\xA0";
  outcome.attempts = 2;
  outcome.elapsed = std::chrono::milliseconds(1234);
  REQUIRE(log->append(event_of("r1", "build", TaskEnded{outcome}, 2)));
  CHECK(record(0).outcome == "timed_out");
  CHECK(record(0).message == outcome.message);
  CHECK(record(0).attempts == 2);
  CHECK(record(0).elapsed_ms == 1234);
  CHECK(record(0).agent == "web-1");

  REQUIRE(log->append(event_of("r1", "a", TaskSkipped{"skipped (build timed out)"}, 0)));
  CHECK(record(1).task == "a");
  CHECK(record(1).outcome == "skipped");
  CHECK(record(1).message == "skipped (build timed out)");
  REQUIRE(log->append(event_of("r1", "", RunEnded{})));
  CHECK(log->tasks("r1")->size() == 2);
}

EVERY_RUN_LOG("Output is kept byte-exact, both streams in order of arrival, each task apart") {
  TestType maker;
  const auto log = maker.make();
  REQUIRE(log->begin(run_of("r1")));
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) all_bytes += static_cast<char>(byte);
  REQUIRE(log->append(output_of("r1", "a", "one\n")));
  REQUIRE(log->append(output_of("r1", "b", "other\n")));
  REQUIRE(log->append(output_of("r1", "a", "two", OutputStream::kStderr)));
  REQUIRE(log->append(event_of("r1", "a", TaskLog{Severity::kInfo, "a log line", Value::Map{{"n", 1}}})));
  REQUIRE(log->append(output_of("r1", "a", all_bytes)));
  REQUIRE(log->append(output_of("r1", "a", "")));
  REQUIRE(log->append(event_of("r1", "quiet", TaskStarted{})));

  const std::string a = "one\ntwo" + all_bytes;
  CHECK(*log->output("r1", "a") == a);
  CHECK(*log->output("r1", "b") == "other\n");
  CHECK(log->output("r1", "quiet")->empty());
  REQUIRE(log->append(output_of("r1", "a", "after reading")));
  REQUIRE(log->end("r1", 2000, 0));
  CHECK(*log->output("r1", "a") == a + "after reading");
}

EVERY_RUN_LOG("Output beyond the limit of a task is cut, and the cut is marked once") {
  TestType maker;
  RunLogLimits limits;
  limits.output_bytes = 10;
  const auto log = maker.make(limits);
  REQUIRE(log->begin(run_of("r1")));
  for (int i = 0; i < 5; ++i) REQUIRE(log->append(output_of("r1", "a", "abcd")));
  REQUIRE(log->append(output_of("r1", "b", "0123456789")));
  CHECK(*log->output("r1", "a") == "abcdabcdab\n[sloth: output beyond 10 bytes was not kept]\n");
  CHECK(*log->output("r1", "b") == "0123456789");
}

EVERY_RUN_LOG("What was never begun, or has ended, is not found") {
  TestType maker;
  const auto log = maker.make();
  CHECK(log->append(output_of("r1", "a", "x")).error().code == Code::kNotFound);
  CHECK(log->end("r1", 1, 0).error().code == Code::kNotFound);
  CHECK(log->tasks("r1").error().code == Code::kNotFound);
  CHECK(log->output("r1", "a").error().code == Code::kNotFound);

  REQUIRE(log->begin(run_of("r1")));
  CHECK(log->tasks("r1")->empty());
  CHECK(log->output("r1", "a").error().code == Code::kNotFound);
  const auto again = log->begin(run_of("r1"));
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::kInvalid);
  CHECK_THAT(again.error().message, Catch::Contains("run \"r1\" was begun before"));

  REQUIRE(log->append(end_of("r1", "a")));
  REQUIRE(log->end("r1", 1, 0));
  CHECK(log->append(output_of("r1", "a", "x")).error().code == Code::kNotFound);
  CHECK(log->end("r1", 2, 0).error().code == Code::kNotFound);
  CHECK(log->begin(run_of("r1")).error().code == Code::kInvalid);
  CHECK(log->tasks("r1")->size() == 1);
}

EVERY_RUN_LOG("Pruning keeps the newest ended runs and every run that has not ended") {
  TestType maker;
  const auto log = maker.make();
  for (int i = 1; i <= 5; ++i) {
    const std::string id = std::to_string(i);
    REQUIRE(log->begin(run_of(id, 100 * i)));
    REQUIRE(log->append(output_of(id, "a", "output of " + id)));
    if (i != 1 && i != 4) REQUIRE(log->end(id, 1000, 0));
  }
  const auto ids = [&] {
    std::string joined;
    const auto runs = log->runs(10);
    REQUIRE(runs);
    for (const RunRecord& run : *runs) joined += run.id;
    return joined;
  };
  REQUIRE(log->prune(SIZE_MAX));
  CHECK(ids() == "54321");
  REQUIRE(log->prune(2));
  CHECK(ids() == "5431");
  CHECK(*log->output("3", "a") == "output of 3");
  CHECK_FALSE(log->output("2", "a"));
  REQUIRE(log->prune(0));
  CHECK(ids() == "41");
  REQUIRE(log->append(output_of("1", "a", ", more")));
  CHECK(*log->output("1", "a") == "output of 1, more");
}

EVERY_RUN_LOG("A run keeps its command, and tasks the outputs that JSON gives back as they were") {
  TestType maker;
  const auto log = maker.make();
  RunRecord run = run_of("r1");
  run.command = R"({"words":["-k"]})";
  REQUIRE(log->begin(run));
  CHECK(log->runs(1)->front().command == run.command);
  const auto kept = [&](const std::string& task, Value outputs) {
    REQUIRE(log->append(event_of("r1", task, TaskStarted{})));
    Event end = end_of("r1", task);
    std::get<TaskEnded>(end.body).outcome.outputs = std::move(outputs);
    REQUIRE(log->append(end));
    return log->tasks("r1")->back().outputs;
  };
  const Value plain = Value::Map{{"n", 0.1}, {"list", Value::List{1, "two", true}}, {"none", Value::Map{}}};
  CHECK(kept("plain", plain) == plain);
  CHECK(kept("empty", Value::Map{}) == Value(Value::Map{}));
  CHECK(kept("bytes", Value::Map{{"b", "\xff"}}) == std::nullopt);
  CHECK(kept("keys", Value::Map{{1.0, "one"}}) == std::nullopt);
  REQUIRE(log->append(event_of("r1", "plain", TaskStarted{}, 2)));
  CHECK(log->tasks("r1")->front().outputs == std::nullopt);
  CHECK(log->tasks("r1")->front().message.empty());
}

EVERY_RUN_LOG("A run that is resumed goes on in the rows that it has") {
  TestType maker;
  const auto log = maker.make();
  REQUIRE(log->begin(run_of("r1")));
  REQUIRE(log->append(event_of("r1", "a", TaskStarted{})));
  REQUIRE(log->append(output_of("r1", "a", "from a")));
  REQUIRE(log->append(end_of("r1", "a")));
  REQUIRE(log->append(event_of("r1", "b", TaskStarted{})));
  REQUIRE(log->append(output_of("r1", "b", "one ")));
  REQUIRE(log->append(event_of("r1", "b", TaskStarted{}, 2)));
  REQUIRE(log->append(event_of("r1", "b", TaskOutput{OutputStream::kStdout, "half of tw"}, 2)));
  CHECK(log->resume("r1", 4711, 4712).error().code == Code::kInvalid);
  CHECK(log->resume("r2", 4711, 4712).error().code == Code::kNotFound);
  REQUIRE(log->end("r1", 2000, 130));

  CHECK(log->resume("r1", 1, 4712).error().code == Code::kInvalid);
  CHECK(log->runs(1)->front().ended_ms == 2000);
  REQUIRE(log->resume("r1", 4711, 4712));
  const RunRecord run = log->runs(1)->front();
  CHECK(run.started_ms == 1000);
  CHECK(run.ended_ms == 0);
  CHECK(run.exit_code == -1);
  CHECK(run.pid == 4712);
  CHECK(log->resume("r1", 4711, 4713).error().code == Code::kInvalid);

  Event before = end_of("r1", "a");
  std::get<TaskEnded>(before.body) = TaskEnded{Outcome{}, true};
  REQUIRE(log->append(before));
  // The same attempt from its first byte, then one more.
  REQUIRE(log->append(event_of("r1", "b", TaskStarted{}, 2)));
  REQUIRE(log->append(event_of("r1", "b", TaskOutput{OutputStream::kStdout, "two "}, 2)));
  REQUIRE(log->append(event_of("r1", "b", TaskStarted{}, 3)));
  REQUIRE(log->append(event_of("r1", "b", TaskOutput{OutputStream::kStdout, "three"}, 3)));
  CHECK(*log->output("r1", "a") == "from a");
  CHECK(*log->output("r1", "b") == "one two three");
  const auto tasks = log->tasks("r1");
  REQUIRE(tasks->size() == 2);
  CHECK(tasks->front().outcome == "succeeded");
  CHECK(tasks->front().message == "message of a");
  CHECK(tasks->back().attempts == 3);
  // Called off without an attempt of this process: how many there were stays known.
  Outcome cancelled;
  cancelled.kind = OutcomeKind::kCancelled;
  REQUIRE(log->append(event_of("r1", "b", TaskEnded{cancelled})));
  CHECK(log->tasks("r1")->back().attempts == 3);
  REQUIRE(log->end("r1", 3000, 0));
  CHECK(log->runs(1)->front().ended_ms == 3000);
}

EVERY_RUN_LOG("What a resumed run kept before counts for the limit of output") {
  TestType maker;
  RunLogLimits limits;
  limits.output_bytes = 10;
  const auto log = maker.make(limits);
  REQUIRE(log->begin(run_of("r1")));
  REQUIRE(log->append(event_of("r1", "a", TaskStarted{})));
  REQUIRE(log->append(output_of("r1", "a", "0123456789ab")));
  REQUIRE(log->append(event_of("r1", "b", TaskStarted{})));
  REQUIRE(log->append(output_of("r1", "b", "0123456")));
  REQUIRE(log->end("r1", 2000, 1));
  REQUIRE(log->resume("r1", 4711, 4712));
  const std::string cut = "\n[sloth: output beyond 10 bytes was not kept]\n";
  REQUIRE(log->append(event_of("r1", "a", TaskOutput{OutputStream::kStdout, "more"}, 2)));
  REQUIRE(log->append(event_of("r1", "b", TaskOutput{OutputStream::kStdout, "789a"}, 2)));
  CHECK(*log->output("r1", "a") == "0123456789" + cut);
  CHECK(*log->output("r1", "b") == "0123456789" + cut);
  REQUIRE(log->append(event_of("r1", "a", TaskStarted{})));
  REQUIRE(log->append(output_of("r1", "a", "again")));
  CHECK(log->output("r1", "a")->starts_with("again"));
}

EVERY_RUN_LOG("Many threads may record and read at once") {
  TestType maker;
  const auto log = maker.make();
  REQUIRE(log->begin(run_of("r1")));
  constexpr int kThreads = 4, kRounds = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&log, task = "t" + std::to_string(t)] {
      for (int i = 0; i < kRounds; ++i) {
        if (!log->append(output_of("r1", task, "line\n"))) return;
        if (i % 10 == 0 && (!log->tasks("r1") || !log->output("r1", task) || !log->runs(1))) return;
      }
      static_cast<void>(log->append(end_of("r1", task)).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto tasks = log->tasks("r1");
  REQUIRE(tasks);
  CHECK(tasks->size() == kThreads);
  for (const TaskRecord& task : *tasks) {
    CHECK(task.outcome == "succeeded");
    CHECK(log->output("r1", task.task)->size() == 5 * kRounds);
  }
}

}  // namespace
}  // namespace sloth
