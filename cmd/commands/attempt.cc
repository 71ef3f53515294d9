#include "cmd/commands/attempt.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/attempt_main.h"
#include "cmd/exit_code.h"
#include "cmd/output_file.h"
#include "modules/builtin.h"
#include "runner/base/clock.h"
#include "runner/engine/lua_task_runner.h"
#include "runner/exec/executor.h"
#include "runner/lua/chunk_cache.h"
#include "runner/lua/interrupter.h"
#include "runner/os/process.h"

namespace sloth {
namespace {

// A second one only starts when a script keeps the first busy, so that its limits still hold.
constexpr int kWorkers = 2;

// Everything that the task needs, as members in the order in which they are built.
struct Parts {
  explicit Parts(const AttemptInput& input) : executor({.workers = kWorkers}), builtins(executor) {
    LuaRunnerOptions options;
    options.executor = &executor;
    options.clock = &clock;
    options.chunks = &chunks;
    options.interrupter = &interrupter;
    options.modules = &builtins.modules();
    options.environment = current_environment();
    std::erase_if(options.environment, [](const auto& entry) { return entry.first == "SLOTH_ATTEMPT"; });
    options.file_directory = input.bundle.request.workdir;
    options.attempt_id = input.id;
    options.memory_limit = static_cast<std::size_t>(input.plan.limits.memory);
    runner = std::make_unique<LuaTaskRunner>(std::move(options));
  }

  Interrupter interrupter;  // before any thread
  SystemClock clock;
  Executor executor;
  Builtins builtins;
  ChunkCache chunks;
  std::unique_ptr<LuaTaskRunner> runner;
};

}  // namespace

int run_attempt_command() {
  Result<AttemptInput> input = enter_attempt();
  if (!input) {
    write_all(STDERR_FILENO, "sloth: " + input.error().message + "\n");
    return kExitUsage;
  }
  raise_descriptor_limit();
  Parts parts(*input);
  ::_exit(run_attempt(std::move(*input), *parts.runner));
}

}  // namespace sloth
