// Engine: runs a Plan: which task starts when, on which runner, and what its end means for the others.
//
// Thread-safe. Its bookkeeping runs on a strand of its own; nothing in it waits.
//
//   Engine engine({executor, clock, placement, operators, sink, random});
//   engine.run(workflow, std::move(plan), {.run = id, .jobs = 4}, stop.get_token(), [](RunReport report) {
//   ... });
#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "runner/engine/run_report.h"
#include "runner/engine/services.h"
#include "runner/task/plan.h"
#include "runner/task/workflow.h"

namespace sloth {

struct EngineOptions {
  std::string run;            // run id
  int jobs = 1;               // most tasks at once; a pause between two attempts counts as running
  bool keep_going = false;    // else nothing starts after the first failure; what runs goes on to its end
  bool local_forced = false;  // --local, for the events
  Duration timeout{};         // of the whole run; zero: none
  Value::Map params;          // over those of every task
  Value values;
  // Indexes into workflow.groups of those that run as workflows: with on_start, on_complete, their limits,
  // one after the other. Empty when tasks were asked for by name.
  std::vector<std::size_t> groups;

  // Of a run that goes on. Tasks that ended before: each concludes as that at its turn, without an attempt;
  // whatever becomes of the run, that is how it ended.
  std::map<std::string, Outcome> ended;
  // The number of the first attempt of tasks that had some before; the task's retries count from it.
  std::map<std::string, int> first_attempt;
};

class Engine {
 public:
  explicit Engine(EngineServices services);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Runs the plan to its end; `done` is called once, on the strand, after the last event. A stop request
  // cancels what runs (cleanup and `finally` run) and lets nothing start. REQUIRES: one run at a time; the
  // engine outlives it.
  void run(std::shared_ptr<const Workflow> workflow, Plan plan, EngineOptions options, std::stop_token stop,
           UniqueFunction<void(RunReport)> done);

 private:
  class Run;
  EngineServices services_;
};

}  // namespace sloth
