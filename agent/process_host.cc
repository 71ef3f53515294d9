#include "agent/process_host.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <optional>
#include <utility>

#include "agent/attempt_end.h"
#include "agent/attempt_launch.h"
#include "agent/file_watch.h"
#include "runner/base/check.h"
#include "runner/base/log.h"
#include "runner/exec/reactor.h"
#include "runner/os/process_table.h"
#include "runner/os/process_tree.h"

namespace sloth {
namespace {

// How long the machine has run since the process was started, sleep included.
Duration age_of(const ProcessName& name) {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const Duration since_boot = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  const std::uint64_t ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return since_boot - std::chrono::milliseconds(name.start * 1000 / ticks);
}

// The very process that `name` means, or nothing.
Descriptor open_process(const ProcessName& name) {
  if (name.pid <= 0 || name.boot != boot_id()) return {};
  Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, name.pid, 0)));
  // After it was opened: from now on the number is not given away unseen.
  const auto record = process_record(name.pid);
  if (!record || record->start != name.start) return {};
  return process;
}

}  // namespace

// What all processes of a host need, which may outlive it.
struct ProcessHost::Shared {
  Shared(std::string file, Executor& threads, const Clock& time, Options chosen)
      : program(std::move(file)), executor(threads), clock(time), options(chosen), spools(threads) {}

  const std::string program;
  Executor& executor;
  const Clock& clock;
  const Options options;
  FileWatch spools;
};

class ProcessHost::Process final : public AttemptProcess {
 public:
  Process(std::shared_ptr<Shared> shared, AttemptPlan plan, const Strand& strand, AttemptEvents events)
      : state_(std::make_shared<State>(std::move(shared), std::move(plan), strand, std::move(events))) {}
  ~Process() override { state_->let_go(); }

  Result<void> start() { return state_->start(); }
  void adopt(ProcessName name) { state_->adopt(std::move(name)); }
  [[nodiscard]] const ProcessName& name() const override { return state_->name; }
  void cancel(std::string reason) override { state_->cancel(std::move(reason)); }

 private:
  // Lives as long as any callback of it; all but the two that are called from outside is the strand's.
  struct State : std::enable_shared_from_this<State> {
    State(std::shared_ptr<Shared> host, AttemptPlan what, const Strand& home, AttemptEvents calls)
        : shared(std::move(host)), plan(std::move(what)), strand(home), events(std::move(calls)) {}

    Result<void> start() {
      auto started = start_attempt(shared->program, plan, [this] { return watch_spool(); });
      if (!started) {
        unwatch_spool();
        return started.error();
      }
      name = std::move(started->name);
      pidfd = std::move(started->pidfd);
      watch_exit();
      return {};
    }

    void adopt(ProcessName wanted) {
      name = std::move(wanted);
      pidfd = open_process(name);
      if (!pidfd.open()) {
        circumstances.watched = false;
        strand.post([self = shared_from_this()] { self->exited(); });
        return;
      }
      if (auto watched = watch_spool(); !watched) {
        log_warn("attempt {}: its output comes only at its end: {}", plan.id, watched.error().message);
      }
      watch_exit();
    }

    Result<void> watch_spool() {
      auto number = shared->spools.add(plan.files.spool(), [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->spool_written();
      });
      if (!number) return number.error();
      spool_watch = *number;
      return {};
    }

    void unwatch_spool() {
      if (spool_watch) shared->spools.remove(*std::exchange(spool_watch, std::nullopt));
    }

    // From the reactor's thread.
    void spool_written() {
      if (told.exchange(true)) return;
      strand.post([self = shared_from_this()] {
        self->told = false;
        if (!self->over) self->events.on_output();
      });
    }

    void watch_exit() {
      auto watched = shared->executor.reactor().watch(pidfd.get(), 0,
                                                      [weak = weak_from_this(), home = strand](unsigned) {
                                                        auto self = weak.lock();
                                                        if (self == nullptr) return;
                                                        if (const auto watch = self->exit_watch)
                                                          watch->set(0);
                                                        home.post([self] { self->exited(); });
                                                      });
      if (!watched) {
        // The executor has stopped: nobody is there to be told.
        log_warn("attempt {}: {}", plan.id, watched.error().message);
        return;
      }
      exit_watch = std::move(*watched);
      exit_watch->set(Reactor::kReadable);
    }

    void exited() {
      if (over || ending) return;
      ending = true;
      shared->executor.cancel(std::exchange(kill_timer, 0));
      if (exit_watch != nullptr) exit_watch->close([self = shared_from_this()] {});
      shared->executor.post_blocking([self = shared_from_this()] {
        auto [state, outcome] = end_attempt(self->plan, self->name, self->pidfd, self->circumstances);
        self->strand.post([self, state = state, outcome = std::move(outcome)]() mutable {
          self->ended(state, std::move(outcome));
        });
      });
    }

    void ended(AttemptState state, Outcome outcome) {
      if (over) return;
      unwatch_spool();
      events.on_output();
      if (std::exchange(over, true)) return;  // let go in on_output
      auto on_end = std::move(events.on_end);
      on_end(state, std::move(outcome));
    }

    void cancel(std::string reason) {
      if (over || ending || circumstances.cancelled || !circumstances.watched) return;
      circumstances.cancelled = std::move(reason);
      circumstances.out_of_time = age_of(name) >= plan.timeout.value_or(plan.limits.wall);
      ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGTERM, nullptr, 0);
      kill_timer = shared->executor.run_at(
          shared->clock.now() + shared->options.grace,
          [self = shared_from_this()] { self->strand.post([self] { self->kill(); }); });
    }

    // Its exit tells that this worked.
    void kill() {
      if (over || ending) return;
      shared->executor.post_blocking(
          [self = shared_from_this()] { kill_tree(self->name.pid, self->plan.id); });
    }

    void let_go() {
      if (std::exchange(over, true)) return;
      unwatch_spool();
      shared->executor.cancel(std::exchange(kill_timer, 0));
      if (exit_watch != nullptr && !ending) exit_watch->close([self = shared_from_this()] {});
    }

    const std::shared_ptr<Shared> shared;
    const AttemptPlan plan;
    const Strand strand;
    AttemptEvents events;
    ProcessName name;
    Descriptor pidfd;
    AttemptCircumstances circumstances;  // not changed any more once `ending`
    std::shared_ptr<Reactor::Watch> exit_watch;
    std::optional<int> spool_watch;
    TimerId kill_timer = 0;
    std::atomic<bool> told{false};  // on_output is on its way
    bool ending = false;            // the process is gone
    bool over = false;              // no callback any more
  };

  const std::shared_ptr<State> state_;
};

ProcessHost::ProcessHost(std::string program, Executor& executor, const Clock& clock)
    : ProcessHost(std::move(program), executor, clock, Options()) {}

ProcessHost::ProcessHost(std::string program, Executor& executor, const Clock& clock, Options options)
    : shared_(std::make_shared<Shared>(std::move(program), executor, clock, options)) {
  become_subreaper();
}

ProcessHost::~ProcessHost() = default;

Result<std::unique_ptr<AttemptProcess>> ProcessHost::start(AttemptPlan plan, Strand strand,
                                                           AttemptEvents events) {
  auto process = std::make_unique<Process>(shared_, std::move(plan), strand, std::move(events));
  if (auto started = process->start(); !started) return started.error();
  return std::unique_ptr<AttemptProcess>(std::move(process));
}

std::unique_ptr<AttemptProcess> ProcessHost::adopt(AttemptPlan plan, ProcessName name, Strand strand,
                                                   AttemptEvents events) {
  auto process = std::make_unique<Process>(shared_, std::move(plan), strand, std::move(events));
  process->adopt(std::move(name));
  return process;
}

}  // namespace sloth
