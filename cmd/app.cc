#include "cmd/app.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "cmd/exit_code.h"
#include "cmd/output_file.h"
#include "modules/builtin.h"
#include "runner/base/mutex.h"
#include "runner/lua/chunk_cache.h"
#include "runner/lua/interrupter.h"
#include "runner/os/process.h"
#include "runner/os/process_tree.h"
#include "runner/os/signals.h"

namespace sloth {
namespace {

std::string new_run_id() {
  std::random_device random;
  return fmt::format("{:08x}{:04x}", random(), random() & 0xffffU);
}

// Lua is not preempted: a loop without end holds its worker. One worker more than there can be tasks keeps
// the run itself alive, so that limits and Ctrl-C still end them. They start only when all others are busy.
int workers_for(const Config& config) {
  constexpr int kMost = 64;
  return std::max(config.cores, std::min(config.attempts, kMost)) + 1;
}

}  // namespace

struct App::Parts {
  explicit Parts(Config given)
      : config(std::move(given)),
        run_id(config.run_id.empty() ? new_run_id() : config.run_id),
        environment(current_environment()),
        signals([this](int, int count) { on_signal(count); }),
        executor({.workers = workers_for(config)}),
        builtins(executor) {}

  // On the signal thread. The second one leaves the process.
  void on_signal(int count) EXCLUDES(mutex);
  [[noreturn]] void leave_now() EXCLUDES(mutex);

  const Config config;
  const std::string run_id;
  const std::vector<std::pair<std::string, std::string>> environment;
  std::stop_source stop;
  SystemClock clock;
  Mutex mutex;
  LuaTaskRunner* live_runner GUARDED_BY(mutex) = nullptr;
  std::function<std::string()> say_on_leave GUARDED_BY(mutex);

  Interrupter interrupter;  // before any VM; its self-test needs to be alone, and it starts no thread
  SignalWatch signals;      // before any other thread: blocks the signals for all of them
  Executor executor;
  Builtins builtins;
  ChunkCache chunks;
  std::unique_ptr<PlanVm> plan_vm;
  std::unique_ptr<LuaTaskRunner> runner;
};

App::App(Config config) : parts_(std::make_unique<Parts>(std::move(config))) {
  become_subreaper();
  raise_descriptor_limit();
}

App::~App() {
  {
    MutexLock lock(parts_->mutex);
    parts_->live_runner = nullptr;
  }
  const bool stuck = (parts_->plan_vm != nullptr && parts_->plan_vm->stuck()) ||
                     (parts_->runner != nullptr && parts_->runner->stuck());
  if (!stuck) return;
  // Runs before what else happens at the exit, which would destroy what threads still use.
  ::on_exit(
      [](int code, void*) {
        std::fflush(nullptr);
        ::_exit(code);
      },
      parts_.release());
}

const Config& App::config() const { return parts_->config; }
Executor& App::executor() { return parts_->executor; }
const Clock& App::clock() const { return parts_->clock; }
const std::vector<Module>& App::modules() const { return parts_->builtins.modules(); }
const std::vector<std::pair<std::string, std::string>>& App::environment() const {
  return parts_->environment;
}
const std::string& App::run_id() const { return parts_->run_id; }
std::stop_token App::stop() const { return parts_->stop.get_token(); }

PlanVm& App::open_plan_vm(Host host) {
  host.attempt = parts_->run_id + ".plan";
  host.environment = parts_->environment;
  parts_->plan_vm = std::make_unique<PlanVm>(PlanVmOptions{.executor = &parts_->executor,
                                                           .clock = &parts_->clock,
                                                           .chunks = &parts_->chunks,
                                                           .interrupter = &parts_->interrupter,
                                                           .modules = &parts_->builtins.modules()},
                                             std::move(host));
  return *parts_->plan_vm;
}

PlanVm& App::plan_vm() { return *parts_->plan_vm; }

LuaTaskRunner& App::open_runner(const std::string& file_directory) {
  LuaRunnerOptions options;
  options.executor = &parts_->executor;
  options.clock = &parts_->clock;
  options.chunks = &parts_->chunks;
  options.interrupter = &parts_->interrupter;
  options.modules = &parts_->builtins.modules();
  options.environment = parts_->environment;
  options.file_directory = file_directory;
  options.cleanup = [&executor = parts_->executor](const std::string& attempt, Job ended) {
    executor.post_blocking([attempt, ended = std::move(ended)]() mutable {
      kill_tree(0, attempt);
      ended();
    });
  };
  parts_->runner = std::make_unique<LuaTaskRunner>(std::move(options));
  MutexLock lock(parts_->mutex);
  parts_->live_runner = parts_->runner.get();
  return *parts_->runner;
}

void App::on_leave(std::function<std::string()> say) {
  MutexLock lock(parts_->mutex);
  parts_->say_on_leave = std::move(say);
}

void App::Parts::on_signal(int count) {
  if (count > 1) leave_now();
  write_all(STDERR_FILENO, "\ninterrupted: ending what runs (once more: leave at once)\n");
  stop.request_stop();
}

void App::Parts::leave_now() {
  std::string text = "\ninterrupted again: leaving";
  std::function<std::string()> say;
  {
    MutexLock lock(mutex);
    say = say_on_leave;
    if (live_runner != nullptr) {
      std::string names;
      for (const auto& [attempt, task] : live_runner->live()) {
        signal_tree(0, attempt, SIGKILL);
        names += (names.empty() ? "" : ", ") + task;
      }
      if (!names.empty()) text += "; processes of these tasks may still run: " + names;
    }
  }
  if (say) text += say();
  write_all(STDERR_FILENO, text + "\n");
  ::_exit(kExitInterrupted);
}

}  // namespace sloth
