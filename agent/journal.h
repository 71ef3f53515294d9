// Journal: what an agent must not forget: its key, and of each attempt how far it came.
//
// Strand-confined: call only on its strand, where every Done comes; writing is done on the blocking lane,
// many changes in one durable transaction (commit_queue.h). A row goes through
//
//   accept -> started -> named -> ended -> home      (back: the process could not be started, so it is
//   accepted again)
//
// and an epoch per (run, task) remembers the highest number ever accepted, and whether that one ended, after
// its row is gone: a stale or repeated offer never starts anything.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/attempt_process.h"
#include "agent/attempt_state.h"
#include "agent/commit_queue.h"
#include "agent/policy.h"
#include "runner/base/clock.h"
#include "runner/base/result.h"

namespace sloth {

// One attempt as the journal has it.
struct JournalRow {
  std::string id;
  AttemptKey key;
  std::string digest;  // of its request
  AttemptState state = AttemptState::kAccepted;
  ProcessName process;  // pid -1: not known
  AttemptAccount account;
  std::string workspace;
  std::optional<Duration> timeout;
  std::string outcome;          // of an end: encode_outcome()
  std::uint64_t spool_end = 0;  // of an end
  std::uint64_t acked = 0;      // the master has the spool up to here, at least
  std::uint64_t anchor = 0;     // a record of the spool begins here; not above acked
  std::int64_t created_ms = 0;  // wall clock
  std::int64_t ended_ms = 0;
};

class Journal {
 public:
  struct Options {
    std::string directory;
    std::string name;              // of the agent
    std::uint64_t most_bytes = 0;  // for tests: the file may not grow beyond; 0: as the disk allows
  };
  // What became of accept().
  struct Acceptance {
    enum class Verdict { kAccepted, kSuperseded, kEndedBefore } verdict = Verdict::kAccepted;
    int newest = 0;                              // kSuperseded: the number that fences it off
    AttemptState ended = AttemptState::kFailed;  // kEndedBefore: how
  };
  using Done = CommitQueue::Done;

  // Blocks. kInvalid for a damaged file, which is named and left as it is; kRefused when it holds attempts of
  // an agent of another name.
  static Result<std::unique_ptr<Journal>> open(const Options& options, Strand strand, const Clock& clock);
  // Waits for the transaction under way; what still waits is dropped.
  ~Journal() = default;

  // Made with the journal, kept for its life.
  [[nodiscard]] const std::string& key() const { return key_; }
  // Rows that have not come home, oldest first, as they were when the journal was opened; once.
  std::vector<JournalRow> take_rows() { return std::move(rows_); }
  // Ids of those that came home and whose workspace is kept, when it was opened; once.
  std::vector<std::string> take_kept() { return std::move(kept_); }

  // `row.state` is kAccepted, or kRunning when it shall start at once.
  void accept(const JournalRow& row, UniqueFunction<void(Result<Acceptance>)> done);
  void started(const std::string& id, Done done);
  void back(const std::string& id, Done done);
  void named(const std::string& id, const ProcessName& process, Done done);
  // state, outcome, spool_end and ended_ms of `row`.
  void ended(const JournalRow& row, Done done);
  void acknowledged(const std::string& id, std::uint64_t acked, std::uint64_t anchor, Done done);
  // The master has everything. With `keep` the row stays as the record of a kept workspace, and `done` gets
  // the ids of older ones that are one too many now.
  void home(const JournalRow& row, bool keep, UniqueFunction<void(Result<std::vector<std::string>>)> done);
  // It never started and cannot: forgotten, so that a new offer may come.
  void drop(const std::string& id, Done done);

  // How an attempt ended whose row has come home; empty when it has not, or was never here.
  void find_end(const std::string& id, UniqueFunction<void(std::optional<AttemptState>)> done);

  // True for an error that means a full disk, which passes, unlike others.
  static bool is_full(const Error& error);

  static constexpr int kKeptWorkspaces = 50;

 private:
  Journal(std::unique_ptr<Database> database, Strand strand, const Clock& clock);
  Result<void> read(const Options& options, Database& database);

  const Clock& clock_;
  std::string key_;
  std::vector<JournalRow> rows_;
  std::vector<std::string> kept_;
  std::unique_ptr<CommitQueue> queue_;
};

}  // namespace sloth
