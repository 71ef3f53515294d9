// Endings: how attempts end: their output on the disk, then one result, one cancel, one refusal, or one loss.
//
// Strand-confined: call only on its master's strand. The first end that is committed is the end; every result
// that comes later is kept beside it as evidence. A result counts only when all output before it is durable.
#pragma once

#include <memory>
#include <string>

#include "agent/attempt_book.h"
#include "agent/message.h"
#include "runner/base/clock.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/task/outcome.h"

namespace sloth {

class AgentSession;
struct MasterCore;

class Endings {
 public:
  explicit Endings(MasterCore& core) : core_(core) {}

  // From an agent. Acknowledged when durable.
  void spool(AgentSession& session, SpoolPart part);
  void result(AgentSession& session, AttemptResult result);
  // A result that waits for output which will not come on its link any more.
  void forget_result(const std::string& id);

  // From a run. `told` gets the attempt as it is then; kNotFound when there is none.
  void cancel(const std::string& id, std::string reason, UniqueFunction<void(Result<const Attempt*>)> told);

  // Ends that the master itself finds. Each is tried again by whoever called when the disk refuses it.
  void call_off(Turn turn);  // cancelled, and nothing was started
  void refuse(Turn turn, const std::string& why, OutcomeKind kind);
  void interrupt(Turn turn, const std::string& why);
  void lose(const std::string& id, Duration silent);

 private:
  void keep(AgentSession& session, Attempt& attempt, SpoolPart part);
  void kept(const std::string& id, std::uint64_t generation, Result<std::uint64_t> end);
  void decide(AgentSession& session, Turn turn, AttemptResult result);
  void late(Turn turn, AttemptResult result);
  void request_cancel(Turn turn, std::string reason, UniqueFunction<void(Result<const Attempt*>)> told);
  // Commits the end. `then` gets the error of the disk; the attempt lives on with it.
  void end(Turn turn, AttemptState state, std::string why, std::string outcome, std::uint64_t spool_end,
           UniqueFunction<void(Result<void>)> then);
  void end_here(Turn turn, AttemptState state, const std::string& why, OutcomeKind kind);
  void ack(const Attempt& attempt);

  MasterCore& core_;
};

}  // namespace sloth
