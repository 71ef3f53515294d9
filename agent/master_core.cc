#include "agent/master_core.h"

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <utility>

#include "agent/agent_session.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

// SQLite takes a file of no bytes for a new one, and throws its log away.
Result<void> check_not_emptied(const std::string& journal, const SpoolStore& spools) {
  const auto file = stat_file(journal);
  if (!file || file->size > 0) return {};
  const auto log = stat_file(journal + "-wal");
  const auto kept = spools.list(std::numeric_limits<std::int64_t>::max());
  if (!(log && log->size > 0) && kept && kept->empty()) return {};
  return Error{
      Code::kInvalid,
      fmt::format(
          "master database {}: damaged: it is empty, and what belongs to it is not; it was left as it "
          "is: move its directory away and run again",
          journal)};
}

}  // namespace

MasterCore::MasterCore(Master::Options chosen, Executor& lent, const Clock& hands)
    : options(std::move(chosen)),
      executor(lent),
      clock(hands),
      strand(lent),
      errands(strand),
      content(options.directory + "/content"),
      spools(std::make_unique<SpoolStore>(options.directory + "/spools", strand)),
      book(strand,
           [this](const std::string& id, AttemptBook::Found found) {
             store->find(id,
                         [this, id, found = std::move(found)](Result<std::optional<AttemptRow>> row) mutable {
                           if (!row) return found(row.error());
                           if (!*row) return found(std::optional<Attempt>());
                           spools->size(id, [this, row = std::move(**row),
                                             found = std::move(found)](Result<std::uint64_t> size) mutable {
                             if (!size) return found(size.error());
                             Attempt attempt;
                             attempt.row = std::move(row);
                             attempt.spool_durable = attempt.spool_taken = *size;
                             registry.annotate(attempt);
                             found(std::optional<Attempt>(std::move(attempt)));
                           });
                         });
           }),
      registry(*this),
      offers(*this),
      leases(*this),
      endings(*this),
      retention(*this) {}

Result<void> MasterCore::open() {
  auto taken = DirectoryLock::take(options.directory, "master.lock", "master");
  if (!taken) return taken.error();
  lock.emplace(std::move(*taken));
  if (auto prepared = spools->prepare(); !prepared) return prepared;
  const std::string journal = options.directory + "/master.db";
  if (auto checked = check_not_emptied(journal, *spools); !checked) return checked;
  auto opened = MasterStore::open(journal, strand);
  if (!opened) return opened.error();
  store = std::move(*opened);
  auto known = store->agents();
  if (!known) return known.error();
  for (AgentRow& row : *known) registry.put(std::move(row));
  auto live = store->live_attempts();
  if (!live) return live.error();
  for (AttemptRow& row : *live) {
    // After a crash of the host the file may be longer than what was synced: a file grows only by what was
    // written, so these bytes are what the agent sends again.
    registry.agent(row.key.agent);  // it may never have come
    const auto size = spools->size_now(row.id);
    if (!size) return size.error();
    Attempt attempt;
    attempt.row = std::move(row);
    attempt.spool_durable = attempt.spool_taken = *size;
    book.put(std::move(attempt));
  }
  return {};
}

void MasterCore::resume() {
  leases.begin();
  for (const std::string& name : registry.names()) {
    // Its lease begins anew: nobody could be heard while we were away.
    registry.agent(name).heard = clock.now();
    for (const std::string& id : book.live_of(name)) {
      Attempt* attempt = book.find(id);
      registry.annotate(*attempt);
      if (attempt->row.state == AttemptState::kQueued) {
        offers.resume(*attempt);
      } else {
        leases.follow(*attempt);
      }
    }
  }
  retention.begin();
}

void MasterCore::close() {
  closed = true;
  content_waiters.clear();
  sessions.clear();
  registry.close();
  book.close();
  if (store) store->close();
  spools->close();
}

void MasterCore::release() {
  errands.close();
  store.reset();
  spools.reset();
  lock.reset();
}

TimerId MasterCore::at(TimePoint when, UniqueFunction<void()> job) {
  if (closed) return 0;
  return executor.run_at(when, [weak = weak_from_this(), job = std::move(job)]() mutable {
    const auto self = weak.lock();
    if (!self) return;
    const Strand home = self->strand;
    home.post([self, job = std::move(job)]() mutable {
      if (!self->closed) job();
    });
  });
}

void MasterCore::cancel(TimerId& timer) {
  if (timer != 0) executor.cancel(std::exchange(timer, 0));
}

void MasterCore::content_came(const std::string& digest) {
  const auto [first, last] = content_waiters.equal_range(digest);
  std::vector<std::function<void()>> waiters;
  for (auto at = first; at != last; ++at) waiters.push_back(std::move(at->second));
  content_waiters.erase(first, last);
  for (const auto& waiter : waiters) waiter();
}

}  // namespace sloth
