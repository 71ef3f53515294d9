// Registry: the agents that this master knows, by name: who is connected, who was, what waits for whom.
//
// Strand-confined: call only on its master's strand. A name belongs to the key that came with it first, as
// long as that agent is connected or has attempts that have not ended.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/attempt_book.h"
#include "agent/master_store.h"
#include "agent/message.h"
#include "runner/base/clock.h"
#include "runner/base/unique_function.h"

namespace sloth {

class AgentSession;
struct MasterCore;

struct KnownAgent {
  AgentRow row;
  bool registered = false;                // false: attempts name it, and it never came
  std::shared_ptr<AgentSession> session;  // null: not connected
  bool draining = false;
  int running = 0;

  // For Leases.
  TimePoint heard{};  // the last message
  TimerId lease = 0;
  bool silent = false;  // the lease is over

  // For Offers.
  std::deque<std::string> queue;     // attempts, some of which may have ended
  std::set<std::string> unanswered;  // offers under way on this link
  Duration pause{};                  // after a refusal that may be tried again
  TimePoint not_before{};
  TimerId retry = 0;

  // Being sent offers: connected, and not about to leave.
  [[nodiscard]] bool takes_offers() const { return session != nullptr && !draining; }
};

class Registry {
 public:
  explicit Registry(MasterCore& core) : core_(core) {}

  void put(AgentRow row);
  // Lets go of every link.
  void close();
  // Makes one that never came when there is none.
  KnownAgent& agent(const std::string& name);
  // Of all that were ever named.
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] KnownAgent* find(const std::string& name);

  // An agent says who it is. Rejects it, or puts it in the place of an older link of the same agent;
  // `session` is connected when true.
  bool join(const std::shared_ptr<AgentSession>& session, const AgentHello& hello);
  // Its link is gone. No error when another link has taken its place.
  void leave(AgentSession& session);

  // Dropped when it is not connected.
  void send(const std::string& name, Message message);
  [[nodiscard]] Agents list() const;
  // `done` gets "" when it was done, also on the disk, else why not.
  void command(const AgentCommand& command, UniqueFunction<void(std::string)> done);

  // Writes what people shall read about an attempt beside its state; the same text again as long as nothing
  // happened.
  void annotate(Attempt& attempt);
  // Of all attempts of that agent, and tells those who watch.
  void annotate_all(const std::string& name);
  // "offline (last seen 12s ago)", "not known here", "draining"; "" when it is there.
  [[nodiscard]] std::string trouble(const std::string& name) const;

 private:
  std::string drain(const std::string& name);
  void remove(const std::string& name, UniqueFunction<void(std::string)> done);
  [[nodiscard]] std::string no_such(const std::string& name) const;
  [[nodiscard]] bool has_started(const std::string& name) const;

  MasterCore& core_;
  std::map<std::string, KnownAgent> agents_;
};

}  // namespace sloth
