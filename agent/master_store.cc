#include "agent/master_store.h"

#include <utility>

#include "agent/master_tables.h"
#include "runner/base/mutex.h"
#include "runner/exec/executor.h"

namespace sloth {

// One read at a time, in the order in which they were asked for, so that their answers are.
struct MasterStore::Reader : std::enable_shared_from_this<Reader> {
  using Job = UniqueFunction<void(Database&)>;

  Reader(std::unique_ptr<Database> opened, Executor& lent) : database(std::move(opened)), executor(lent) {}

  void post(Job job) EXCLUDES(mutex) {
    MutexLock lock(mutex);
    waiting.push_back(std::move(job));
    if (!busy) busy = executor.post_blocking([self = shared_from_this()] { self->run(); });
  }

  void run() EXCLUDES(mutex) {
    while (true) {
      std::vector<Job> batch;
      {
        MutexLock lock(mutex);
        batch.swap(waiting);
        if (batch.empty()) {
          busy = false;
          return;
        }
      }
      for (Job& job : batch) job(*database);
    }
  }

  const std::unique_ptr<Database> database;
  Executor& executor;
  Mutex mutex;
  bool busy GUARDED_BY(mutex) = false;
  std::vector<Job> waiting GUARDED_BY(mutex);
};

Result<std::unique_ptr<MasterStore>> MasterStore::open(const std::string& path, Strand strand) {
  auto writer = open_master_database(path);
  if (!writer) return writer.error();
  auto reader = open_master_database(path);
  if (!reader) return reader.error();
  return std::unique_ptr<MasterStore>(
      new MasterStore(std::move(*writer), std::make_shared<Reader>(std::move(*reader), strand.executor()),
                      std::move(strand)));
}

MasterStore::MasterStore(std::unique_ptr<Database> writer, std::shared_ptr<Reader> reader, Strand strand)
    : strand_(std::move(strand)), reader_(std::move(reader)), writer_(std::move(writer), strand_) {}

MasterStore::~MasterStore() = default;

void MasterStore::commit(CommitQueue::Change change, Done done) {
  writer_.commit(std::move(change), [open = open_, done = std::move(done)](Result<void> committed) mutable {
    if (*open) done(std::move(committed));
  });
}

template <class T, class Read>
void MasterStore::read(Read read, Answer<T> done) {
  reader_->post([strand = strand_, open = open_, read = std::move(read),
                 done = std::move(done)](Database& database) mutable {
    strand.post([open, found = Result<T>(read(database)), done = std::move(done)]() mutable {
      if (*open) done(std::move(found));
    });
  });
}

Result<std::vector<AttemptRow>> MasterStore::live_attempts() {
  return read_live_attempts(*reader_->database);
}

Result<std::vector<AgentRow>> MasterStore::agents() { return read_agents(*reader_->database); }

void MasterStore::insert(AttemptRow row, AttemptRequest request, Done done) {
  commit([row = std::move(row), request = std::move(request)](
             Database& database) { return insert_attempt(database, row, request); },
         std::move(done));
}

void MasterStore::update(AttemptRow row, Done done) {
  commit([row = std::move(row)](Database& database) { return update_attempt(database, row); },
         std::move(done));
}

void MasterStore::add_evidence(AttemptResult late, std::int64_t at_ms, Done done) {
  commit(
      [late = std::move(late), at_ms](Database& database) { return insert_evidence(database, late, at_ms); },
      std::move(done));
}

void MasterStore::put_agent(AgentRow row, Done done) {
  commit([row = std::move(row)](Database& database) { return put_agent_row(database, row); },
         std::move(done));
}

void MasterStore::remove_agent(std::string name, Done done) {
  commit([name = std::move(name)](Database& database) { return remove_agent_row(database, name); },
         std::move(done));
}

void MasterStore::forget(std::int64_t before_ms, int limit, Answer<std::vector<std::string>> done) {
  auto ids = std::make_shared<std::vector<std::string>>();
  commit(
      [=](Database& database) -> Result<void> {
        auto removed = remove_ended(database, before_ms, limit);
        if (!removed) return removed.error();
        *ids = std::move(*removed);
        return {};
      },
      [ids, done = std::move(done)](Result<void> committed) mutable {
        if (!committed) return done(committed.error());
        done(std::move(*ids));
      });
}

void MasterStore::find(std::string id, Answer<std::optional<AttemptRow>> done) {
  read<std::optional<AttemptRow>>(
      [id = std::move(id)](Database& database) { return read_attempt(database, id); }, std::move(done));
}

void MasterStore::request_of(std::string id, Answer<std::string> done) {
  read<std::string>([id = std::move(id)](Database& database) { return read_request(database, id); },
                    std::move(done));
}

void MasterStore::of_run(std::string run, Answer<std::vector<AttemptSummary>> done) {
  read<std::vector<AttemptSummary>>(
      [run = std::move(run)](Database& database) { return read_run(database, run); }, std::move(done));
}

void MasterStore::is_superseded(AttemptKey key, Answer<bool> done) {
  read<bool>([key = std::move(key)](Database& database) { return has_later_attempt(database, key); },
             std::move(done));
}

void MasterStore::unknown_of(std::vector<std::string> ids, Answer<std::vector<std::string>> done) {
  read<std::vector<std::string>>(
      [ids = std::move(ids)](Database& database) { return select_unknown(database, ids); }, std::move(done));
}

void MasterStore::blobs_in_use(Answer<std::vector<std::string>> done) {
  read<std::vector<std::string>>([](Database& database) { return read_blobs(database); }, std::move(done));
}

}  // namespace sloth
