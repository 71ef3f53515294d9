#include "agent/attempt_main.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "agent/result_file.h"
#include "agent/spool.h"
#include "runner/base/check.h"
#include "runner/base/duration.h"
#include "runner/base/log.h"
#include "runner/base/mutex.h"
#include "runner/os/descendants.h"
#include "runner/os/descriptor.h"
#include "runner/os/os_error.h"
#include "runner/os/process_tree.h"

namespace sloth {
namespace {

// The task's own timeout and cleanup come first; this is for a process that hangs.
constexpr std::chrono::seconds kPastTimeout{15};
constexpr std::chrono::seconds kLastPatience{10};
constexpr int kExitClean = 0;
constexpr int kExitUnclean = 1;
constexpr int kExitNoResult = 6;

// Why the task is asked to end, when that is none of its own reasons.
enum class Cause { kNone, kSignal, kCpu, kDeadline };

// One attempt under way, watched by the thread that runs run_attempt().
class Watch {
 public:
  explicit Watch(AttemptInput input)
      : input_(std::move(input)),
        spool_(input_.spool_fd, input_.plan.limits.output),
        ended_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        deadline_(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)) {
    const sigset_t watched = attempt_signals();
    signals_.reset(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    SLOTH_CHECK(ended_.open() && deadline_.open() && signals_.open());
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  int run(TaskRunner& runner) {
    runner.start(request(), spool_, stop_.get_token(), [this](Outcome outcome) {
      MutexLock lock(mutex_);
      outcome_ = std::move(outcome);
      // Under the lock: after it this may be gone.
      const std::uint64_t one = 1;
      SLOTH_CHECK(::write(ended_.get(), &one, sizeof(one)) == sizeof(one));
    });
    wait();
    return leave();
  }

 private:
  TaskRequest request() {
    TaskRequest request = input_.bundle.request;
    request.agent = input_.bundle.extras.agent;
    const Duration wall = input_.plan.timeout.value_or(input_.plan.limits.wall);
    if (!request.spec->timeout) {
      auto spec = std::make_shared<TaskSpec>(*request.spec);
      spec->timeout = wall;
      request.spec = std::move(spec);
      limit_is_wall_ = !input_.plan.timeout;
    }
    const Duration last = std::max(wall, *request.spec->timeout) + kPastTimeout;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(last);
    itimerspec when{};
    when.it_value.tv_sec = static_cast<time_t>(seconds.count());
    when.it_value.tv_nsec = static_cast<long>((last - seconds).count());
    SLOTH_CHECK(::timerfd_settime(deadline_.get(), 0, &when, nullptr) == 0);
    timeout_ = *request.spec->timeout;
    return request;
  }

  // Until the task ended, or its time is long over.
  void wait() {
    for (;;) {
      pollfd waiting[] = {
          {ended_.get(), POLLIN, 0}, {deadline_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
      if (::poll(waiting, 3, -1) < 0) {
        SLOTH_CHECK(errno == EINTR);
        continue;
      }
      if (waiting[0].revents != 0) return;
      if (waiting[1].revents != 0) {
        cause_ = Cause::kDeadline;
        return;
      }
      signalfd_siginfo received{};
      while (::read(signals_.get(), &received, sizeof(received)) == sizeof(received)) {
        on_signal(static_cast<int>(received.ssi_signo));
      }
    }
  }

  void on_signal(int signal) {
    if (signal == SIGCHLD) {
      reap_orphans();
      return;
    }
    if (cause_ == Cause::kNone) cause_ = signal == SIGXCPU ? Cause::kCpu : Cause::kSignal;
    stop_.request_stop();
  }

  int leave() {
    const EndedDescendants processes = end_descendants(kLastPatience);
    // Whoever still reports from a thread that hangs is not heard any more.
    const std::uint64_t missing = spool_.finish();
    if (::fdatasync(input_.spool_fd) != 0) log_error("output may be lost: {}", reason_of(errno));

    StoredResult result{outcome(), processes.left.empty()};
    if (missing > 0) {
      result.outcome.warnings.push_back(
          fmt::format("{} bytes of output were left out: they came faster than they were taken (\"output\" "
                      "in the agent's "
                      "policy), or the disk was full",
                      missing));
    }
    if (!processes.ended.empty()) {
      result.outcome.warnings.push_back("killed, for they were still running at the end: " +
                                        names_of(processes.ended));
    }
    if (auto written = write_result(input_.result_fd, result); !written) {
      log_error("{}", written.error().message);
      return kExitNoResult;
    }
    return result.clean ? kExitClean : kExitUnclean;
  }

  Outcome outcome() {
    MutexLock lock(mutex_);
    Outcome outcome;
    if (!outcome_) {
      outcome.kind = OutcomeKind::kTimedOut;
      outcome.message = fmt::format("timed out after {}; it did not end {} later and was killed",
                                    format_duration(timeout_), format_duration(kPastTimeout));
      return outcome;
    }
    outcome = std::move(*outcome_);
    if (outcome.kind == OutcomeKind::kAborted || outcome.kind == OutcomeKind::kSkipped) {
      outcome.kind = OutcomeKind::kFailed;
    }
    if (outcome.kind == OutcomeKind::kCancelled && cause_ == Cause::kCpu) {
      outcome.kind = OutcomeKind::kFailed;
      outcome.message =
          fmt::format("the attempt used more than {} of CPU time (\"cpu\" in the agent's policy)",
                      format_duration(input_.plan.limits.cpu));
    }
    if (outcome.kind == OutcomeKind::kTimedOut && limit_is_wall_) {
      outcome.message += " (\"wall\" in the agent's policy)";
    }
    return outcome;
  }

  AttemptInput input_;
  SpoolWriter spool_;
  std::stop_source stop_;
  Descriptor ended_;
  Descriptor deadline_;
  Descriptor signals_;
  Cause cause_ = Cause::kNone;
  Duration timeout_{};
  bool limit_is_wall_ = false;
  Mutex mutex_;
  std::optional<Outcome> outcome_ GUARDED_BY(mutex_);
};

}  // namespace

int run_attempt(AttemptInput input, TaskRunner& runner) {
  // Of the threads that run scripts (runner/lua/interrupter.h).
  sigset_t foreign;
  sigemptyset(&foreign);
  sigaddset(&foreign, SIGURG);
  sigaddset(&foreign, SIGPROF);
  ::pthread_sigmask(SIG_BLOCK, &foreign, nullptr);
  // Not destroyed: a task that hangs may report at any time, until the process leaves.
  auto* watch = new Watch(std::move(input));
  return watch->run(runner);
}

}  // namespace sloth
