#include "cmd/app.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <algorithm>
#include <random>

#include "cmd/exit_code.h"
#include "cmd/output_file.h"
#include "runner/os/process.h"

namespace sloth {
namespace {

std::string new_run_id() {
  std::random_device random;
  return fmt::format("{:08x}{:04x}", random(), random() & 0xffffU);
}

// Lua is not preempted: a loop without end holds its worker. One worker more than there can be tasks keeps the run itself
// alive, so that limits and Ctrl-C still end them. They start only when all others are busy.
int workers_for(const Config& config) {
  constexpr int kMost = 64;
  return std::max(config.cores, std::min(config.attempts, kMost)) + 1;
}

}  // namespace

App::App(Config config)
    : config_(std::move(config)),
      run_id_(new_run_id()),
      environment_(current_environment()),
      signals_([this](int, int count) { on_signal(count); }),
      executor_({.workers = workers_for(config_)}),
      builtins_(executor_) {
  become_subreaper();
  raise_descriptor_limit();
}

App::~App() {
  MutexLock lock(mutex_);
  live_runner_ = nullptr;
}

PlanVm& App::open_plan_vm(Host host) {
  host.attempt = run_id_ + ".plan";
  host.environment = environment_;
  plan_vm_ = std::make_unique<PlanVm>(PlanVmOptions{.executor = &executor_,
                                                    .clock = &clock_,
                                                    .chunks = &chunks_,
                                                    .interrupter = &interrupter_,
                                                    .modules = &builtins_.modules()},
                                      std::move(host));
  return *plan_vm_;
}

LuaTaskRunner& App::open_runner(const std::string& file_directory) {
  LuaRunnerOptions options;
  options.executor = &executor_;
  options.clock = &clock_;
  options.chunks = &chunks_;
  options.interrupter = &interrupter_;
  options.modules = &builtins_.modules();
  options.environment = environment_;
  options.file_directory = file_directory;
  options.cleanup = [this](const std::string& attempt, Job ended) {
    executor_.post_blocking([attempt, ended = std::move(ended)]() mutable {
      kill_tree(0, attempt);
      ended();
    });
  };
  runner_ = std::make_unique<LuaTaskRunner>(std::move(options));
  MutexLock lock(mutex_);
  live_runner_ = runner_.get();
  return *runner_;
}

void App::on_signal(int count) {
  if (count > 1) leave_now();
  write_all(STDERR_FILENO, "\ninterrupted: ending what runs (once more: leave at once)\n");
  stop_.request_stop();
}

void App::leave_now() {
  std::string text = "\ninterrupted again: leaving";
  {
    MutexLock lock(mutex_);
    if (live_runner_ != nullptr) {
      std::string names;
      for (const auto& [attempt, task] : live_runner_->live()) {
        signal_tree(0, attempt, SIGKILL);
        names += (names.empty() ? "" : ", ") + task;
      }
      if (!names.empty()) text += "; processes of these tasks may still run: " + names;
    }
  }
  write_all(STDERR_FILENO, text + "\n");
  ::_exit(kExitInterrupted);
}

}  // namespace sloth
