#include "agent/attempt_book.h"

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>

namespace sloth {

void Attempt::tell_watchers() const {
  // A copy: one of them may leave while it is told.
  const std::vector<AttemptWatcher*> all = watchers;
  for (AttemptWatcher* watcher : all) watcher->attempt_changed(*this);
}

struct AttemptBook::Entry {
  std::string id;
  std::unique_ptr<Attempt> attempt;
  std::optional<Error> error;
  std::deque<Op> waiting;
  bool loaded = false;
  bool busy = false;
  std::uint64_t order = 0;  // of submission; 0: not among the live ones
};

struct AttemptBook::State : std::enable_shared_from_this<State> {
  State(Strand home, Load how) : strand(std::move(home)), load(std::move(how)) {}

  void begin(const std::shared_ptr<Entry>& entry) {
    entry->busy = true;
    if (entry->loaded) return run(entry);
    load(entry->id, [weak = weak_from_this(), entry](Result<std::optional<Attempt>> found) {
      const auto self = weak.lock();
      if (!self || self->closed) return;
      entry->error.reset();
      if (!found) {
        entry->error = found.error();
      } else {
        entry->loaded = true;
        if (*found) entry->attempt = std::make_unique<Attempt>(std::move(**found));
        self->index(*entry);
      }
      self->run(entry);
    });
  }

  void run(const std::shared_ptr<Entry>& entry) {
    Op op = std::move(entry->waiting.front());
    entry->waiting.pop_front();
    op(Turn(shared_from_this(), entry));
  }

  void next(const std::shared_ptr<Entry>& entry) {
    if (closed) return;
    entry->busy = false;
    index(*entry);
    if (!entry->waiting.empty()) return begin(entry);
    release(*entry);
  }

  // Keeps the list of live ones right.
  void index(Entry& entry) {
    if (!entry.attempt) return;
    const bool lives = !entry.attempt->ended();
    if (lives == (entry.order != 0)) return;
    auto& list = live[entry.attempt->row.key.agent];
    if (lives) {
      entry.order = ++orders;
      list.emplace(entry.order, entry.id);
    } else {
      list.erase(std::exchange(entry.order, 0));
      if (list.empty()) live.erase(entry.attempt->row.key.agent);
    }
  }

  void release(const Entry& entry) {
    if (entry.busy || !entry.waiting.empty()) return;
    if (const Attempt* attempt = entry.attempt.get()) {
      const bool writes = attempt->spool_taken != attempt->spool_durable || attempt->result;
      if (!attempt->ended() || !attempt->watchers.empty() || writes) return;
    }
    const std::string id = entry.id;  // `entry` goes with the map's hold on it
    entries.erase(id);
  }

  const Strand strand;
  const Load load;
  bool closed = false;
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries;
  std::map<std::string, std::map<std::uint64_t, std::string>> live;  // by agent, in order of submission
  std::uint64_t orders = 0;
};

AttemptBook::AttemptBook(Strand strand, Load load)
    : state_(std::make_shared<State>(std::move(strand), std::move(load))) {}

AttemptBook::~AttemptBook() = default;

void AttemptBook::close() {
  state_->closed = true;
  // Apart: what waits may own turns of others.
  const auto entries = std::move(state_->entries);
  state_->entries.clear();
  state_->live.clear();
  for (const auto& [id, entry] : entries) const auto dropped = std::move(entry->waiting);
}

void AttemptBook::put(Attempt attempt) {
  auto entry = std::make_shared<Entry>();
  entry->id = attempt.row.id;
  entry->loaded = true;
  entry->attempt = std::make_unique<Attempt>(std::move(attempt));
  state_->entries[entry->id] = entry;
  state_->index(*entry);
}

void AttemptBook::take(const std::string& id, Op op) {
  if (state_->closed) return;
  std::shared_ptr<Entry>& slot = state_->entries[id];
  if (!slot) {
    slot = std::make_shared<Entry>();
    slot->id = id;
  }
  const std::shared_ptr<Entry> entry = slot;
  entry->waiting.push_back(std::move(op));
  if (!entry->busy) state_->begin(entry);
}

Attempt* AttemptBook::find(const std::string& id) const {
  const auto found = state_->entries.find(id);
  return found == state_->entries.end() ? nullptr : found->second->attempt.get();
}

Attempt* AttemptBook::find_idle(const std::string& id) const {
  const auto found = state_->entries.find(id);
  if (found == state_->entries.end() || !found->second->waiting.empty()) return nullptr;
  return found->second->attempt.get();
}

std::vector<std::string> AttemptBook::live_of(const std::string& agent) const {
  std::vector<std::string> ids;
  const auto list = state_->live.find(agent);
  if (list == state_->live.end()) return ids;
  ids.reserve(list->second.size());
  for (const auto& [order, id] : list->second) ids.push_back(id);
  return ids;
}

void AttemptBook::watch(Attempt& attempt, AttemptWatcher& watcher) {
  auto& watchers = attempt.watchers;
  if (std::find(watchers.begin(), watchers.end(), &watcher) == watchers.end()) watchers.push_back(&watcher);
}

void AttemptBook::unwatch(const std::string& id, AttemptWatcher& watcher) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  auto& watchers = attempt->watchers;
  watchers.erase(std::remove(watchers.begin(), watchers.end(), &watcher), watchers.end());
  release(id);
}

void AttemptBook::release(const std::string& id) {
  const auto found = state_->entries.find(id);
  if (found == state_->entries.end()) return;
  const std::shared_ptr<Entry> entry = found->second;
  state_->release(*entry);
}

Turn::~Turn() {
  if (!entry_) return;
  // A turn of its own on the strand: a long row of turns must not become a deep stack.
  const Strand strand = state_->strand;
  strand.post([state = std::move(state_), entry = std::move(entry_)] { state->next(entry); });
}

Attempt* Turn::attempt() const { return entry_->attempt.get(); }

const Error* Turn::error() const { return entry_->error ? &*entry_->error : nullptr; }

Attempt& Turn::create(AttemptRow row) {
  SLOTH_CHECK(!entry_->attempt && !entry_->error);
  entry_->attempt = std::make_unique<Attempt>();
  entry_->attempt->row = std::move(row);
  state_->index(*entry_);
  return *entry_->attempt;
}

}  // namespace sloth
