// AgentSession: one link of an agent: what it may say when, and who does what it says.
//
// Strand-confined: call only on its master's strand. Hello comes first; what no agent of ours would say is
// answered with Rejected and the end of the link, and touches nothing else.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/content_feed.h"
#include "agent/master_core.h"
#include "agent/message.h"

namespace sloth {

class AgentSession final : public MasterSession {
 public:
  AgentSession(MasterCore& core, std::unique_ptr<Link> link);
  ~AgentSession() override;
  // Once, after construction.
  void open();

  // Of its hello; "" before.
  [[nodiscard]] const std::string& name() const { return hello_.name; }
  [[nodiscard]] std::weak_ptr<AgentSession> weak() {
    return std::static_pointer_cast<AgentSession>(shared_from_this());
  }

  void send(Message message);
  // Says why, and ends the link; nothing that comes on it is heard any more.
  void reject(const std::string& reason, bool permanent);
  // Ends the link without a word.
  void drop();
  void let_go() override;

  // True when the attempt is there and this agent's; rejects the session otherwise.
  bool owns(const Turn& turn);
  // A result came before its output; see Endings::forget_result.
  void result_waits(const std::string& attempt) { waiting_results_.insert(attempt); }

 private:
  // An attempt of the agent, as it stood in the journal when the agent said hello.
  struct Stood {
    std::string id;
    AttemptState state;
  };

  void receive(Message message);
  void greet(AgentHello hello);
  void welcome(const std::vector<Stood>& stood);
  void compare(const AttemptReport& report);
  void adopt(Turn turn, const AttemptReport& report);
  void miss(const Stood& stood);
  void lost_but_alive(Turn turn);
  void ended();

  MasterCore& core_;
  std::unique_ptr<Link> link_;
  AgentHello hello_;
  bool greeted_ = false;
  bool closing_ = false;
  std::set<std::string> waiting_results_;
  ContentFeed feed_;
};

}  // namespace sloth
