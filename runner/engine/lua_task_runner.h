// LuaTaskRunner: runs attempts in this process, each in a fresh VM on a strand of its own.
//
// Thread-safe. See TaskRunner for start().
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/mutex.h"
#include "runner/exec/executor.h"
#include "runner/lua/chunk_cache.h"
#include "runner/lua/interrupter.h"
#include "runner/lua/module.h"
#include "runner/task/task_runner.h"

namespace sloth {

// Ends the processes that an attempt left behind: it did not succeed. `attempt` is their SLOTH_ATTEMPT. Must
// not block; calls `ended` when they are gone.
using AttemptCleanup = std::function<void(const std::string& attempt, Job ended)>;

// Lent: everything outlives the runner.
struct LuaRunnerOptions {
  Executor* executor = nullptr;
  const Clock* clock = nullptr;
  ChunkCache* chunks = nullptr;
  Interrupter* interrupter = nullptr;  // may be null
  const std::vector<Module>* modules = nullptr;
  std::vector<std::pair<std::string, std::string>> environment;  // that of every task, below its own env
  std::string file_directory;                                    // absolute
  AttemptCleanup cleanup;                                        // may be empty
  std::string attempt_id;                                        // of every attempt; "": local_attempt_id()
  std::size_t memory_limit = std::size_t{1} << 30;               // bytes of each VM
};

// The SLOTH_ATTEMPT of an attempt that has no id of its own: another process of the run finds what it left
// behind.
std::string local_attempt_id(const std::string& run, const std::string& task, int attempt);

class LuaTaskRunner final : public TaskRunner {
 public:
  explicit LuaTaskRunner(LuaRunnerOptions options);
  // REQUIRES: every attempt has ended, and none is stuck.
  ~LuaTaskRunner() override;

  void start(TaskRequest request, EventSink& sink, std::stop_token stop,
             UniqueFunction<void(Outcome)> done) override EXCLUDES(mutex_);

  // Attempts that run now: their SLOTH_ATTEMPT and the task's name. For leaving in a hurry.
  std::vector<std::pair<std::string, std::string>> live() EXCLUDES(mutex_);

  // Some attempt was given up (Outcome::stuck): this runner and all it was lent must stay until the process
  // ends.
  bool stuck() EXCLUDES(mutex_);

 private:
  const LuaRunnerOptions options_;
  Mutex mutex_;
  bool stuck_ GUARDED_BY(mutex_) = false;
  std::map<std::string, std::string> live_ GUARDED_BY(mutex_);
};

}  // namespace sloth
