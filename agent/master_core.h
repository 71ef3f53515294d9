// MasterCore: what the parts of one master share: its strand, its journal, its books and desks.
//
// Strand-confined: call only on its strand. The parts know each other through it; each has its own file:
//
//   AgentSession, RunSession   one link each: what may be said when, and what it means
//   Registry                   agents by name          Offers     from queued to accepted
//   AttemptBook                attempts by id          Leases     who is silent, unknown, lost
//   Retention                  what is old goes        Endings    output, results, cancels: the one end of
//   each attempt
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/attempt_book.h"
#include "agent/content_store.h"
#include "agent/directory_lock.h"
#include "agent/endings.h"
#include "agent/errands.h"
#include "agent/leases.h"
#include "agent/master.h"
#include "agent/master_store.h"
#include "agent/offers.h"
#include "agent/registry.h"
#include "agent/retention.h"
#include "agent/spool_store.h"

namespace sloth {

// One link, of an agent or of a run. Lives as long as the core has it.
class MasterSession : public std::enable_shared_from_this<MasterSession> {
 public:
  virtual ~MasterSession() = default;
  // Ends the link, or lets go of one that has ended. Nothing is said to the others.
  virtual void let_go() = 0;
};

struct MasterCore : std::enable_shared_from_this<MasterCore> {
  MasterCore(Master::Options chosen, Executor& lent, const Clock& hands);
  MasterCore(const MasterCore&) = delete;
  MasterCore& operator=(const MasterCore&) = delete;

  // Blocks, once, off the strand: takes the directory and reads the journal.
  Result<void> open();
  // Once, on the strand: starts the clocks of what was found.
  void resume();
  // On the strand: nothing is told to anybody from here on. release() then blocks, off the strand, until
  // nothing of the directory is used any more.
  void close();
  void release();

  // Runs on the strand, unless the master is closed by then. What `job` refers to may be parts of this core.
  TimerId at(TimePoint when, UniqueFunction<void()> job);
  TimerId after(Duration wait, UniqueFunction<void()> job) { return at(clock.now() + wait, std::move(job)); }
  // 0 is no timer; it is 0 afterwards.
  void cancel(TimerId& timer);
  // `work` on the blocking lane, `then(its value)` on the strand.
  template <class Work, class Then>
  void blocking(Work work, Then then) {
    errands.run(weak_from_this(), std::move(work), [this, then = std::move(then)](auto value) mutable {
      if (!closed) then(std::move(value));
    });
  }
  // A content is here now that agents may be waiting for.
  void content_came(const std::string& digest);
  void say(const std::string& text) const {
    if (note) note(text);
  }

  const Master::Options options;
  Executor& executor;
  const Clock& clock;
  const Strand strand;
  std::function<void(std::string)> note;
  bool closed = false;

  std::optional<DirectoryLock> lock;
  Errands errands;
  ContentStore content;
  std::unique_ptr<MasterStore> store;
  std::unique_ptr<SpoolStore> spools;
  AttemptBook book;
  Registry registry;
  Offers offers;
  Leases leases;
  Endings endings;
  Retention retention;
  std::set<std::shared_ptr<MasterSession>> sessions;
  std::multimap<std::string, std::function<void()>> content_waiters;  // by digest
};

}  // namespace sloth
