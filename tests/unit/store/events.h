// Short-hand for the runs and events of run log tests.
#pragma once

#include <string>
#include <utility>

#include "runner/store/run_log.h"

namespace sloth {

inline RunRecord run_of(const std::string& id, std::int64_t started_ms = 1000) {
  RunRecord run;
  run.id = id;
  run.file = "tasks.lua";
  run.started_ms = started_ms;
  run.pid = 4711;
  return run;
}

inline Event event_of(const std::string& run, const std::string& task, decltype(Event::body) body,
                      int attempt = 1) {
  Event event;
  event.wall_ms = 1500;
  event.run = run;
  event.task = task;
  event.attempt = attempt;
  event.body = std::move(body);
  return event;
}

inline Event output_of(const std::string& run, const std::string& task, std::string bytes,
                       OutputStream stream = OutputStream::kStdout) {
  return event_of(run, task, TaskOutput{stream, std::move(bytes)});
}

inline Event end_of(const std::string& run, const std::string& task,
                    OutcomeKind kind = OutcomeKind::kSucceeded) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = "message of " + task;
  outcome.attempts = 1;
  outcome.elapsed = std::chrono::milliseconds(12);
  return event_of(run, task, TaskEnded{outcome});
}

}  // namespace sloth
