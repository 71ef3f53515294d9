// CommitQueue: changes to one journal, many at a time in one transaction, each told when it is on the disk.
//
// Thread-safe. While one transaction is being written on the blocking lane, changes gather for the next (group commit),
// in the order of commit(). An error of one change undoes the whole transaction; its changes are then tried one by one,
// so that each gets its own answer.
#pragma once

#include <memory>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/exec/executor.h"
#include "runner/exec/strand.h"
#include "runner/store/sqlite.h"

namespace sloth {

class CommitQueue {
 public:
  // Runs on the blocking lane, perhaps twice; captures what it writes by value.
  using Change = UniqueFunction<Result<void>(Database&)>;
  // Runs on the strand.
  using Done = UniqueFunction<void(Result<void>)>;

  // `strand`'s executor outlives this.
  CommitQueue(std::unique_ptr<Database> database, Strand strand);
  // Waits for the transaction under way; what still waits is dropped, its Done too.
  ~CommitQueue();
  CommitQueue(const CommitQueue&) = delete;
  CommitQueue& operator=(const CommitQueue&) = delete;

  void commit(Change change, Done done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sloth
