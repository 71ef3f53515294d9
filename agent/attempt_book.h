// AttemptBook: the attempts that the master has in hand, each with one operation at a time.
//
// Strand-confined: call only on its strand. Attempts that have not ended are always here; ended ones are read
// from the journal when somebody names them and leave when nobody looks at them any more. What must see and
// change an attempt in peace takes a turn:
//
//   book.take(id, [](Turn turn) {
//     if (Attempt* attempt = turn.attempt()) store.update(..., [turn = std::move(turn)](Result<void>) { ...
//     });
//   });                                           // the next turn begins when this one is destroyed
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/master_store.h"
#include "agent/message.h"
#include "runner/base/unique_function.h"
#include "runner/exec/executor.h"
#include "runner/exec/strand.h"

namespace sloth {

struct Attempt;

// Somebody who follows an attempt: a run's link.
class AttemptWatcher {
 public:
  virtual ~AttemptWatcher() = default;
  // Its state, its note or the length of its spool is another.
  virtual void attempt_changed(const Attempt& attempt) = 0;
};

struct Attempt {
  AttemptRow row;        // as committed, or being committed by the turn that has it
  bool unknown = false;  // its agent's lease is over; never in the journal
  std::string note;      // what people shall read beside the state: "agent web-1 is offline"
  TimerId timer = 0;     // queued: the longest wait is over; unknown: lost

  std::uint64_t spool_durable = 0;      // bytes on the disk
  std::uint64_t spool_taken = 0;        // and those that wait for it
  std::uint64_t spool_generation = 0;   // grows when a write failed
  std::optional<AttemptResult> result;  // came before the last bytes of its spool were on the disk

  std::vector<AttemptWatcher*> watchers;

  [[nodiscard]] bool ended() const { return is_terminal(row.state); }
  [[nodiscard]] AttemptState shown() const { return unknown ? AttemptState::kUnknown : row.state; }
  // Of what runs are given.
  [[nodiscard]] std::uint64_t readable() const { return ended() ? row.spool_end : spool_durable; }
  void tell_watchers() const;
};

class AttemptBook {
 public:
  class Turn;
  using Op = UniqueFunction<void(Turn)>;
  // Reads an attempt that is not in hand; its answer comes on the strand, empty when there is none.
  using Found = UniqueFunction<void(Result<std::optional<Attempt>>)>;
  using Load = std::function<void(const std::string& id, Found found)>;

  AttemptBook(Strand strand, Load load);
  // REQUIRES: close() was called. Turns may outlive it.
  ~AttemptBook();
  AttemptBook(const AttemptBook&) = delete;
  AttemptBook& operator=(const AttemptBook&) = delete;

  // No turn begins from here on; what waits for one is dropped.
  void close();

  // At the start: what lives in the journal, in order of submission.
  void put(Attempt attempt);

  // In the order of the calls for each id; at once when nothing is in the way.
  void take(const std::string& id, Op op);
  // Without a turn, for what is no part of the row. Null when it is not in hand.
  [[nodiscard]] Attempt* find(const std::string& id) const;
  // The same; also null when turns are waiting for it, which a message that came later must not overtake.
  [[nodiscard]] Attempt* find_idle(const std::string& id) const;

  // Of this agent, in order of submission: all that have not ended, and perhaps some that just have.
  [[nodiscard]] std::vector<std::string> live_of(const std::string& agent) const;

  static void watch(Attempt& attempt, AttemptWatcher& watcher);
  // No error when it is not watched.
  void unwatch(const std::string& id, AttemptWatcher& watcher);
  // Lets an ended attempt go that nobody needs; call it after the last byte was written, too.
  void release(const std::string& id);

 private:
  struct Entry;
  struct State;
  const std::shared_ptr<State> state_;
};

// The right to look at one attempt and change it. Moves into callbacks; ends when destroyed, on any thread.
class AttemptBook::Turn {
 public:
  Turn(Turn&&) noexcept = default;
  Turn& operator=(Turn&&) = delete;
  ~Turn();

  // Null when there is no such attempt, or it could not be read.
  [[nodiscard]] Attempt* attempt() const;
  // Why it could not be read; null when it could.
  [[nodiscard]] const Error* error() const;
  // Call when its row is in the journal. REQUIRES: attempt() and error() are null.
  Attempt& create(AttemptRow row);

 private:
  friend struct AttemptBook::State;
  Turn(std::shared_ptr<State> state, std::shared_ptr<Entry> entry)
      : state_(std::move(state)), entry_(std::move(entry)) {}

  std::shared_ptr<State> state_;
  std::shared_ptr<Entry> entry_;
};

using Turn = AttemptBook::Turn;

}  // namespace sloth
