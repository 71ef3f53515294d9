// Event: one fact about a run, for printing, the run log and --output json. EventSink: who is told.
//
// Event is a value. EventSink implementations are thread-safe: attempts report from many threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "runner/base/output.h"
#include "runner/base/value.h"
#include "runner/task/outcome.h"

namespace sloth {

struct RunStarted {
  std::string file;
  std::size_t tasks = 0;
  int jobs = 0;
  bool local_forced = false;  // --local
};
struct TaskStarted {};  // an attempt begins
struct TaskOutput {
  OutputStream stream = OutputStream::kStdout;
  std::string bytes;  // as written: any length, may be binary, may end inside a line
};
struct TaskLog {
  Severity severity = Severity::kInfo;
  std::string text;
  Value fields = Value::Map{};
  bool of_handler = false;  // the error of a handler: RunReport::handler_errors has it as well
};
struct TaskRetry {
  std::string reason;
  Duration delay{};
};
struct TaskSkipped {
  std::string reason;
};
struct TaskEnded {
  Outcome outcome;
  bool before = false;  // an earlier process of the same run brought it to that end; now nothing ran
};
struct RunEnded {
  int exit_code = 0;
  Duration elapsed{};
  std::size_t succeeded = 0, failed = 0, skipped = 0, cancelled = 0;
};

struct Event {
  std::int64_t wall_ms = 0;
  std::string run;
  std::string task;   // "" for the run's own events
  std::string agent;  // "" here
  int attempt = 0;    // from 1
  std::variant<RunStarted, TaskStarted, TaskOutput, TaskLog, TaskRetry, TaskSkipped, TaskEnded, RunEnded>
      body;
  bool one_of_many = false;  // other agents run this attempt of the task too
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_event(const Event& event) = 0;
};

}  // namespace sloth
