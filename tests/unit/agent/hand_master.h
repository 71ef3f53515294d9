// HandMaster: a master played by the test: what an agent dials in the tests of Agent.
//
// Thread-safe. Everything it hears is kept in order; wait() looks for a message from where the last wait()
// ended, so a test reads like the talk itself. By itself it only welcomes, and, unless told otherwise,
// acknowledges.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/link.h"
#include "runner/base/mutex.h"
#include "runner/exec/executor.h"
#include "tests/support/memory_link.h"

namespace sloth {

inline constexpr std::chrono::seconds kMasterPatience{60};

class HandMaster final : public Dialer {
 public:
  explicit HandMaster(Executor& executor) : executor_(executor) {}
  ~HandMaster() override;

  std::unique_ptr<Link> dial(Role role) override;

  // What it does by itself; all on at first but `online`, which says whether dials find anybody.
  void online(bool yes);
  void welcome_as(AgentWelcome welcome);
  void acknowledge_spools(bool yes);
  void acknowledge_results(bool yes);

  void send(Message message);
  // Connection reset.
  void cut();
  [[nodiscard]] std::shared_ptr<MemoryWire> wire();
  [[nodiscard]] int dials();

  // The next message of this kind that fits, after the one that the last wait() gave; fails the test after a
  // minute.
  template <class Kind>
  Kind wait(std::function<bool(const Kind&)> fits = nullptr) {
    std::optional<Kind> found;
    look([&](const Message& message) {
      const auto* one = std::get_if<Kind>(&message);
      if (one == nullptr || (fits && !fits(*one))) return false;
      found = *one;
      return true;
    });
    if (!found) fail(message_name(Message(Kind())));
    return *found;
  }
  template <class Kind>
  Kind wait_of(const std::string& attempt) {
    return wait<Kind>([&](const Kind& message) { return message.attempt == attempt; });
  }
  // Of all that was heard up to now.
  template <class Kind>
  std::vector<Kind> heard() {
    std::vector<Kind> all;
    for (const Message& message : log()) {
      if (const auto* one = std::get_if<Kind>(&message)) all.push_back(*one);
    }
    return all;
  }
  // What of an attempt's spool arrived, put together as a master does.
  [[nodiscard]] std::string spool(const std::string& attempt);
  // True when its end stands at `size` or above, within a minute.
  bool wait_spool(const std::string& attempt, std::size_t size);
  // Acknowledges what it has of a spool.
  void acknowledge_spool(const std::string& attempt);

 private:
  void on_message(std::size_t connection, Message message) EXCLUDES(mutex_);
  std::vector<Message> log();
  void look(const std::function<bool(const Message&)>& fits);
  [[noreturn]] static void fail(const char* what);

  Executor& executor_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::shared_ptr<Link>> links_ GUARDED_BY(mutex_);
  std::shared_ptr<MemoryWire> wire_ GUARDED_BY(mutex_);
  std::vector<Message> log_ GUARDED_BY(mutex_);
  std::size_t next_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::string> spools_ GUARDED_BY(mutex_);
  bool online_ GUARDED_BY(mutex_) = true;
  bool spool_acks_ GUARDED_BY(mutex_) = true;
  bool result_acks_ GUARDED_BY(mutex_) = true;
  AgentWelcome welcome_ GUARDED_BY(mutex_);
};

}  // namespace sloth
