#include "agent/master.h"

#include <utility>

#include "agent/agent_session.h"
#include "agent/master_core.h"
#include "agent/run_session.h"
#include "runner/base/mutex.h"

namespace sloth {
namespace {

// Runs `job` on the strand and waits for it.
void run_and_wait(const Strand& strand, UniqueFunction<void()> job) {
  if (strand.running_here()) return job();
  struct Latch {
    Mutex mutex;
    CondVar turned;
    bool done GUARDED_BY(mutex) = false;
  };
  const auto latch = std::make_shared<Latch>();
  auto shared = std::make_shared<UniqueFunction<void()>>(std::move(job));
  const bool posted = strand.post([latch, shared] {
    (*shared)();
    MutexLock lock(latch->mutex);
    latch->done = true;
    latch->turned.notify_all();
  });
  // The executor has stopped: nobody else runs on the strand any more.
  if (!posted) return (*shared)();
  MutexLock lock(latch->mutex);
  while (!latch->done) latch->turned.wait(latch->mutex);
}

template <class Session>
void begin(MasterCore& core, std::unique_ptr<Link> link) {
  auto session = std::make_shared<Session>(core, std::move(link));
  core.sessions.insert(session);
  session->open();
}

}  // namespace

class Master::Impl {
 public:
  Impl(Options options, Executor& executor, const Clock& clock)
      : core(std::make_shared<MasterCore>(std::move(options), executor, clock)) {}
  ~Impl() {
    run_and_wait(core->strand, [this] { core->close(); });
    core->release();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const std::shared_ptr<MasterCore> core;
};

Result<std::unique_ptr<Master>> Master::open(Options options, Executor& executor, const Clock& clock) {
  std::unique_ptr<Master> master(new Master());
  master->impl_ = std::make_shared<Impl>(std::move(options), executor, clock);
  const auto& core = master->impl_->core;
  if (auto opened = core->open(); !opened) return opened.error();
  core->strand.post([core] {
    if (!core->closed) core->resume();
  });
  return master;
}

Master::~Master() = default;

void Master::accept(Role role, std::unique_ptr<Link> link) {
  const auto& core = impl_->core;
  core->strand.post([core, role, link = std::move(link)]() mutable {
    if (core->closed) return;
    if (role == Role::kAgent) {
      begin<AgentSession>(*core, std::move(link));
    } else {
      begin<RunSession>(*core, std::move(link));
    }
  });
}

void Master::on_note(std::function<void(std::string)> note) {
  const auto& core = impl_->core;
  core->strand.post([core, note = std::move(note)]() mutable { core->note = std::move(note); });
}

}  // namespace sloth
