// MasterStore: the master's journal: attempts and how they ended, agents by name. One SQLite file.
//
// Thread-safe. Every change is on the disk before its `done` is told (CommitQueue: many changes, one commit);
// answers come on the strand, those of changes in their order and those of readers in theirs. An ended
// attempt never changes again: the file itself refuses a second end. Readers have a connection of their own
// and see every change whose `done` was told.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/attempt_state.h"
#include "agent/commit_queue.h"
#include "agent/message.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/exec/strand.h"

namespace sloth {

struct AttemptRow {
  std::string id;
  AttemptKey key;
  std::string digest;  // of its request
  AttemptState state = AttemptState::kQueued;
  std::string detail;     // why it was refused, or sent back
  std::string agent_key;  // of the agent it was last offered to; "" : to none
  bool cancel = false;    // somebody asked for its end
  std::string cancel_reason;
  std::int64_t queue_ms = 0;
  std::int64_t lost_ms = 0;
  std::int64_t queued_at_ms = 0;  // wall clock
  std::int64_t ended_at_ms = 0;   // wall clock; 0: lives
  std::string outcome;            // encoded; "" : lives
  std::uint64_t spool_end = 0;    // of an ended one
};

// What travels to the agent and is of no use once the attempt has ended.
struct AttemptRequest {
  std::string request;             // encoded
  std::vector<std::string> blobs;  // digests
};

struct AgentRow {
  std::string name;
  std::string key;
  std::string version;
  std::string host;
  std::int64_t pid = 0;
  int max_attempts = 0;
  std::int64_t last_seen_ms = 0;  // wall clock
};

class MasterStore {
 public:
  using Done = UniqueFunction<void(Result<void>)>;
  template <class T>
  using Answer = UniqueFunction<void(Result<T>)>;

  // Blocks. Makes the file when missing. kInvalid for a damaged file, one of another program or of a newer
  // version: it is named and left untouched.
  static Result<std::unique_ptr<MasterStore>> open(const std::string& path, Strand strand);
  // Waits for the commit under way; what waits behind it is dropped, its `done` too.
  ~MasterStore();
  MasterStore(const MasterStore&) = delete;
  MasterStore& operator=(const MasterStore&) = delete;

  // Nothing is told from here on. On the strand.
  void close() { *open_ = false; }

  // These block: for the start, before all else.
  Result<std::vector<AttemptRow>> live_attempts();
  Result<std::vector<AgentRow>> agents();

  // kRefused when the id is there already.
  void insert(AttemptRow row, AttemptRequest request, Done done);
  // Everything of `row` that may change. kRefused when the attempt has ended or is not there.
  void update(AttemptRow row, Done done);
  // A result that came after the end: kept beside it, the first one only.
  void add_evidence(AttemptResult late, std::int64_t at_ms, Done done);
  void put_agent(AgentRow row, Done done);
  void remove_agent(std::string name, Done done);
  // Removes up to `limit` attempts that ended before that time, and says which.
  void forget(std::int64_t before_ms, int limit, Answer<std::vector<std::string>> done);

  void find(std::string id, Answer<std::optional<AttemptRow>> done);
  // kNotFound when the attempt is not there or has ended.
  void request_of(std::string id, Answer<std::string> done);
  void of_run(std::string run, Answer<std::vector<AttemptSummary>> done);
  // True when the same run has a later attempt of the same task on the same agent.
  void is_superseded(AttemptKey key, Answer<bool> done);
  // The digests that live attempts name.
  void blobs_in_use(Answer<std::vector<std::string>> done);
  // Whether it is there at all, for those of a list.
  void unknown_of(std::vector<std::string> ids, Answer<std::vector<std::string>> done);

 private:
  struct Reader;
  MasterStore(std::unique_ptr<Database> writer, std::shared_ptr<Reader> reader, Strand strand);
  template <class T, class Read>
  void read(Read read, Answer<T> done);

  void commit(CommitQueue::Change change, Done done);

  const Strand strand_;
  const std::shared_ptr<bool> open_ = std::make_shared<bool>(true);  // of the strand
  const std::shared_ptr<Reader> reader_;
  CommitQueue writer_;
};

}  // namespace sloth
