#include "agent/commit_queue.h"

#include <utility>

namespace sloth {

struct CommitQueue::State : std::enable_shared_from_this<State> {
  struct Entry {
    Change change;
    Done done;
    Result<void> result;
  };

  State(std::unique_ptr<Database> opened, Strand home) : database(std::move(opened)), strand(std::move(home)) {}

  void write_waiting() {
    std::vector<Entry> batch;
    {
      MutexLock lock(mutex);
      if (closed || waiting.empty()) {
        writing = false;
        idle.notify_all();
        return;
      }
      batch.swap(waiting);
    }
    write(batch);
    strand.post([self = shared_from_this(), batch = std::move(batch)]() mutable {
      for (Entry& entry : batch) {
        {
          MutexLock lock(self->mutex);
          if (self->closed) return;
        }
        entry.done(std::move(entry.result));
      }
    });
    if (!strand.executor().post_blocking([self = shared_from_this()] { self->write_waiting(); })) {
      MutexLock lock(mutex);
      writing = false;
      idle.notify_all();
    }
  }

  void write(std::vector<Entry>& batch) {
    const Result<void> together = database->transaction([&]() -> Result<void> {
      for (Entry& entry : batch) {
        if (auto changed = entry.change(*database); !changed) return changed;
      }
      return {};
    });
    if (together) return;
    if (batch.size() == 1) {
      batch.front().result = together;
      return;
    }
    for (Entry& entry : batch) {
      entry.result = database->transaction([&] { return entry.change(*database); });
    }
  }

  const std::unique_ptr<Database> database;
  const Strand strand;
  Mutex mutex;
  CondVar idle;
  bool writing GUARDED_BY(mutex) = false;
  bool closed GUARDED_BY(mutex) = false;
  std::vector<Entry> waiting GUARDED_BY(mutex);
};

CommitQueue::CommitQueue(std::unique_ptr<Database> database, Strand strand)
    : state_(std::make_shared<State>(std::move(database), std::move(strand))) {}

CommitQueue::~CommitQueue() {
  MutexLock lock(state_->mutex);
  state_->closed = true;
  state_->waiting.clear();
  while (state_->writing) state_->idle.wait(state_->mutex);
}

void CommitQueue::commit(Change change, Done done) {
  MutexLock lock(state_->mutex);
  if (state_->closed) return;
  state_->waiting.push_back({std::move(change), std::move(done), {}});
  if (state_->writing) return;
  state_->writing = state_->strand.executor().post_blocking([state = state_] { state->write_waiting(); });
}

}  // namespace sloth
