// Offers: how an attempt gets from the queue to its agent: submitted, offered, accepted, or back into the
// queue.
//
// Strand-confined: call only on its master's strand. An offer is in the journal before it is sent. At most 64
// wait for an agent's answer at once; the rest stay queued here, in order of submission. A refusal that may
// be tried again puts the attempt back at the front and the agent's queue pauses, 1 s at first, 10 s at most.
#pragma once

#include <string>

#include "agent/attempt_book.h"
#include "agent/master_store.h"
#include "agent/message.h"
#include "agent/registry.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"

namespace sloth {

class AgentSession;

class Offers {
 public:
  explicit Offers(MasterCore& core) : core_(core) {}

  // A new attempt, all content of which is here. It is in the journal when `kept` is told; a run may be told
  // then.
  void submit(Turn turn, AttemptRow row, AttemptRequest request, UniqueFunction<void(Result<Attempt*>)> kept);
  // A queued one of the journal.
  void resume(Attempt& attempt);
  // Sends what may be sent.
  void pump(const std::string& agent);
  // Of an attempt that the agent has no row of: says it again.
  void repeat(Turn turn);

  void answered(AgentSession& session, OfferAnswer answer);
  void started(AgentSession& session, const AttemptStarted& started);
  // The agent has said something that answers the offer: there is room for another.
  void settle(const std::string& agent, const std::string& attempt);
  // What an agent says where it is; a later state is never undone by an earlier one.
  void advance(Turn turn, AttemptState state);

 private:
  void offer(Turn turn);
  void offer_with(Turn turn, std::string request);
  void send(const Attempt& attempt, std::string request);
  void refused(Turn turn, const OfferAnswer& answer);
  void queue_again(Turn turn, const std::string& why);
  void queue_again_later(const std::string& id, const std::string& why);
  void pause(KnownAgent& agent);
  void arm(Attempt& attempt, Duration wait);
  void give_up(const std::string& id);
  [[nodiscard]] std::int64_t waited_ms(const Attempt& attempt) const;

  MasterCore& core_;
};

}  // namespace sloth
