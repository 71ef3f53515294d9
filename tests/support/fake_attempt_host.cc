#include "tests/support/fake_attempt_host.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "agent/spool.h"
#include "runner/base/check.h"
#include "runner/os/descriptor.h"

namespace sloth {
namespace {

constexpr std::chrono::seconds kPatience{60};

// What an agent has of a process; gone with its AttemptProcess.
struct Watch {
  Watch(Strand home, AttemptEvents calls) : strand(std::move(home)), events(std::move(calls)) {}
  const Strand strand;
  const AttemptEvents events;
  bool dropped = false;  // on the strand
};

struct End {
  AttemptState state = AttemptState::kFailed;
  Outcome outcome;
};

struct Body {
  AttemptPlan plan;
  ProcessName name;
  int starts = 0;
  bool alive = false;
  std::optional<End> result;
  std::optional<std::string> cancelled;
  std::shared_ptr<Watch> watch;
};

Outcome outcome_of(OutcomeKind kind, std::string message) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = std::move(message);
  return outcome;
}

// As the kernel counts: since boot.
std::uint64_t ticks_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

void tell_output(const std::shared_ptr<Watch>& watch) {
  if (!watch) return;
  watch->strand.post([watch] {
    if (!watch->dropped) watch->events.on_output();
  });
}

void tell_end(const std::shared_ptr<Watch>& watch, End end) {
  if (!watch) return;
  watch->strand.post([watch, end = std::move(end)] {
    if (!watch->dropped) watch->events.on_end(end.state, end.outcome);
  });
}

}  // namespace

struct FakeAttemptHost::World {
  mutable Mutex mutex;
  CondVar changed;
  std::map<std::string, Body> bodies GUARDED_BY(mutex);
  std::function<void(const std::string&)> before_start GUARDED_BY(mutex);
  std::string boot GUARDED_BY(mutex) = "boot-1";
  int next_pid GUARDED_BY(mutex) = 1'000'000'000;  // no process of this machine
  int starts GUARDED_BY(mutex) = 0;
  int fail_times GUARDED_BY(mutex) = 0;
  Error fail_with GUARDED_BY(mutex);
  bool ignore_cancel GUARDED_BY(mutex) = false;

  void end(const std::string& id, End end, bool with_result) EXCLUDES(mutex) {
    std::shared_ptr<Watch> watch;
    {
      MutexLock lock(mutex);
      const auto body = bodies.find(id);
      if (body == bodies.end() || !body->second.alive) return;
      body->second.alive = false;
      if (with_result) body->second.result = end;
      watch = std::exchange(body->second.watch, nullptr);
      changed.notify_all();
    }
    tell_end(watch, std::move(end));
  }

  void cancel(const std::string& id, std::string reason) EXCLUDES(mutex) {
    {
      MutexLock lock(mutex);
      bodies[id].cancelled = reason;
      changed.notify_all();
      if (ignore_cancel) return;
    }
    end(id, {AttemptState::kCancelled, outcome_of(OutcomeKind::kCancelled, std::move(reason))}, true);
  }
};

class FakeAttemptHost::Process final : public AttemptProcess {
 public:
  Process(std::shared_ptr<World> world, std::string id, ProcessName name, std::shared_ptr<Watch> watch)
      : world_(std::move(world)), id_(std::move(id)), name_(std::move(name)), watch_(std::move(watch)) {}

  ~Process() override {
    SLOTH_CHECK(watch_->strand.running_here());
    watch_->dropped = true;
    MutexLock lock(world_->mutex);
    Body& body = world_->bodies[id_];
    if (body.watch == watch_) body.watch.reset();
  }

  [[nodiscard]] const ProcessName& name() const override { return name_; }
  void cancel(std::string reason) override { world_->cancel(id_, std::move(reason)); }

 private:
  const std::shared_ptr<World> world_;
  const std::string id_;
  const ProcessName name_;
  const std::shared_ptr<Watch> watch_;
};

FakeAttemptHost::FakeAttemptHost() : world_(std::make_shared<World>()) {}
FakeAttemptHost::~FakeAttemptHost() = default;

Result<std::unique_ptr<AttemptProcess>> FakeAttemptHost::start(AttemptPlan plan, Strand strand,
                                                               AttemptEvents events) {
  SLOTH_CHECK(strand.running_here());
  const std::string id = plan.id;
  std::function<void(const std::string&)> before;
  {
    MutexLock lock(world_->mutex);
    before = world_->before_start;
  }
  if (before) before(id);
  MutexLock lock(world_->mutex);
  if (world_->fail_times > 0) {
    --world_->fail_times;
    return world_->fail_with;
  }
  ::mkdir(plan.workspace.c_str(), 0700);
  const Descriptor spool(::open(plan.files.spool().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  SLOTH_CHECK(spool.open());
  Body& body = world_->bodies[id];
  SLOTH_CHECK(!body.alive);
  body.plan = std::move(plan);
  body.name = {world_->next_pid++, ticks_now(), world_->boot};
  body.alive = true;
  body.result.reset();
  ++body.starts;
  ++world_->starts;
  body.watch = std::make_shared<Watch>(std::move(strand), std::move(events));
  world_->changed.notify_all();
  return std::unique_ptr<AttemptProcess>(std::make_unique<Process>(world_, id, body.name, body.watch));
}

std::unique_ptr<AttemptProcess> FakeAttemptHost::adopt(AttemptPlan plan, ProcessName name, Strand strand,
                                                       AttemptEvents events) {
  SLOTH_CHECK(strand.running_here());
  auto watch = std::make_shared<Watch>(std::move(strand), std::move(events));
  End end{AttemptState::kInterrupted,
          outcome_of(OutcomeKind::kUnknown, "the attempt's process is gone and left no result")};
  {
    MutexLock lock(world_->mutex);
    Body& body = world_->bodies[plan.id];
    // Without a name: its agent died before it could be journalled, and looks for it by its environment.
    if (body.alive && (body.name == name || name.pid < 0)) {
      body.watch = watch;
      return std::make_unique<Process>(world_, plan.id, body.name, watch);
    }
    if (body.result) end = *body.result;
  }
  tell_end(watch, std::move(end));
  return std::make_unique<Process>(world_, plan.id, name, watch);
}

bool FakeAttemptHost::wait_started(const std::string& id, int times) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(world_->mutex);
  while (world_->bodies[id].starts < times) {
    if (!world_->changed.wait_until(world_->mutex, until)) return world_->bodies[id].starts >= times;
  }
  return true;
}

int FakeAttemptHost::starts(const std::string& id) const {
  MutexLock lock(world_->mutex);
  const auto body = world_->bodies.find(id);
  return body == world_->bodies.end() ? 0 : body->second.starts;
}

int FakeAttemptHost::starts() const {
  MutexLock lock(world_->mutex);
  return world_->starts;
}

bool FakeAttemptHost::runs(const std::string& id) const {
  MutexLock lock(world_->mutex);
  const auto body = world_->bodies.find(id);
  return body != world_->bodies.end() && body->second.alive;
}

std::optional<std::string> FakeAttemptHost::cancel_reason(const std::string& id) const {
  MutexLock lock(world_->mutex);
  const auto body = world_->bodies.find(id);
  return body == world_->bodies.end() ? std::nullopt : body->second.cancelled;
}

AttemptPlan FakeAttemptHost::plan(const std::string& id) const {
  MutexLock lock(world_->mutex);
  return world_->bodies.at(id).plan;
}

void FakeAttemptHost::write(const std::string& id, const std::string& bytes) {
  write_raw(id, spool_record(OutputStream::kStdout, bytes));
}

void FakeAttemptHost::write_raw(const std::string& id, const std::string& bytes) {
  std::shared_ptr<Watch> watch;
  {
    MutexLock lock(world_->mutex);
    Body& body = world_->bodies.at(id);
    const Descriptor spool(::open(body.plan.files.spool().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    SLOTH_CHECK(spool.open());
    SLOTH_CHECK(::write(spool.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    watch = body.watch;
  }
  tell_output(watch);
}

void FakeAttemptHost::end(const std::string& id, AttemptState state, Outcome outcome) {
  world_->end(id, {state, std::move(outcome)}, true);
}

void FakeAttemptHost::die(const std::string& id) {
  world_->end(id,
              {AttemptState::kFailed, outcome_of(OutcomeKind::kFailed, "attempt process died (signal 9)")},
              false);
}

void FakeAttemptHost::reboot() {
  MutexLock lock(world_->mutex);
  world_->boot += "+";
  for (auto& [id, body] : world_->bodies) body.alive = false;
}

void FakeAttemptHost::fail_starts(int times, Error error) {
  MutexLock lock(world_->mutex);
  world_->fail_times = times;
  world_->fail_with = std::move(error);
}

void FakeAttemptHost::ignore_cancel(bool ignore) {
  MutexLock lock(world_->mutex);
  world_->ignore_cancel = ignore;
}

void FakeAttemptHost::before_start(std::function<void(const std::string&)> call) {
  MutexLock lock(world_->mutex);
  world_->before_start = std::move(call);
}

}  // namespace sloth
