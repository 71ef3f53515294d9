#include "runner/engine/lua_task_runner.h"

#include <fmt/format.h>

#include "runner/engine/lua_attempt.h"

namespace sloth {

std::string local_attempt_id(const std::string& run, const std::string& task, int attempt) {
  std::string id = run + ".";
  for (const char c : task) {
    // "/" begins the name of a part of an attempt.
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    id += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return fmt::format("{}.{}", id, attempt);
}

LuaTaskRunner::LuaTaskRunner(LuaRunnerOptions options) : options_(std::move(options)) {}

LuaTaskRunner::~LuaTaskRunner() = default;

void LuaTaskRunner::start(TaskRequest request, EventSink& sink, std::stop_token stop,
                          UniqueFunction<void(Outcome)> done) {
  std::string id;
  {
    MutexLock lock(mutex_);
    id = options_.attempt_id.empty() ? local_attempt_id(request.run, request.spec->name, request.attempt)
                                     : options_.attempt_id;
    live_.emplace(id, request.spec->name);
  }
  auto forget_and_tell = [this, id, done = std::move(done)](Outcome outcome) mutable {
    {
      MutexLock lock(mutex_);
      live_.erase(id);
      stuck_ = stuck_ || outcome.stuck;
    }
    done(std::move(outcome));
  };
  LuaAttempt::start(options_, id, std::move(request), sink, std::move(stop), std::move(forget_and_tell));
}

std::vector<std::pair<std::string, std::string>> LuaTaskRunner::live() {
  MutexLock lock(mutex_);
  return {live_.begin(), live_.end()};
}

bool LuaTaskRunner::stuck() {
  MutexLock lock(mutex_);
  return stuck_;
}

}  // namespace sloth
