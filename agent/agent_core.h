// AgentCore: the parts of one agent put together: who gets a message, who gets a place, when it is drained.
//
// Strand-confined: call only on its strand; open() and close() are for the agent's owner, before and after.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/agent_attempt.h"
#include "agent/agent_link.h"
#include "agent/directory_lock.h"
#include "agent/errands.h"
#include "agent/journal.h"
#include "agent/offer_intake.h"
#include "agent/workspaces.h"

namespace sloth {

class AgentCore : public std::enable_shared_from_this<AgentCore> {
 public:
  AgentCore(Agent::Options options, Agent::Services services);

  // Blocks. The directory, its lock, its journal.
  Result<void> open();
  // Ends everything, on the strand; then nothing of this calls out any more.
  void shut_down();
  // Blocks until nothing touches the directory any more, and lets it go. After shut_down().
  void close();

  void start();
  void drain(UniqueFunction<void()> done);
  void cancel_all(const std::string& reason);

  [[nodiscard]] const Strand& strand() const { return strand_; }
  std::function<void(std::string)> note = [](const std::string&) {};
  std::function<void()> drain_asked;  // set before start()

  static constexpr std::size_t kMostWaiting = 1000;

 private:
  struct Found {
    JournalRow row;
    std::string problem;  // why it cannot be started any more
  };
  AttemptServices attempt_services();
  AgentLink::Ports link_ports();
  OfferIntake::Ports intake_ports();
  void recover(std::vector<Found> found);

  [[nodiscard]] std::optional<AgentHello> hello() const;
  void on_up();
  void on_down();

  void on_message(Message message);
  void on(Offer offer);
  void on(ContentPart part);
  void on(const SpoolAck& ack);
  void on(const ResultAck& ack);
  void on(const CancelAttempt& cancel);
  void on(const DrainAgent& drain);
  template <class Other>
  void on(const Other& other);

  void refuse(const std::string& attempt, std::string reason, bool may_retry);
  [[nodiscard]] std::string objection(const Offer& offer, bool& may_retry) const;
  void admit(JournalRow row);
  void on_settled(const AgentAttempt& attempt);
  void fence_off(const AttemptKey& key);
  void on_gone(const std::string& id);
  void give_places();
  void stop_taking(const std::string& why);
  void check_drained();
  void leave();

  const Agent::Options options_;
  const Agent::Services services_;
  const int max_attempts_;
  const Strand strand_;
  Errands errands_;
  Workspaces workspaces_;
  std::optional<DirectoryLock> lock_;
  std::unique_ptr<Journal> journal_;
  std::optional<AttemptServices> attempt_services_;
  std::shared_ptr<AgentLink> link_;
  std::shared_ptr<OfferIntake> intake_;
  std::map<std::string, std::shared_ptr<AgentAttempt>> attempts_;
  std::deque<std::string> waiting_;  // ids, the next first
  int places_taken_ = 0;
  int accepting_ = 0;  // acceptances that are being committed
  bool draining_ = false;
  bool leaving_ = false;
  std::optional<TimePoint> alone_since_;  // nothing runs and there is no master
  UniqueFunction<void()> drained_;
};

}  // namespace sloth
