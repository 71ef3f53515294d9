// MasterFixture: a Master in a directory of its own, and Peers: agents and runs that a test plays by hand.
//
// Not shared: one thread at a time. Every wait has a deadline. When the fixture goes, the master's journal is
// read and its invariants are checked: states in their order, one end per attempt.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "agent/digest.h"
#include "agent/master.h"
#include "agent/message.h"
#include "runner/base/clock.h"
#include "runner/base/mutex.h"
#include "runner/exec/executor.h"
#include "tests/support/memory_link.h"

namespace sloth {

class Peer {
 public:
  Peer(Executor& executor, Master& master, Role role);

  void send(Message message) { link_->send(std::move(message)); }
  // The first message of that type for which `fits`, taken out; fails the test when none comes in time.
  template <class T>
  T expect(std::function<bool(const T&)> fits = nullptr) {
    std::optional<T> found;
    wait([&](std::deque<Message>& inbox) {
      for (auto at = inbox.begin(); at != inbox.end(); ++at) {
        T* message = std::get_if<T>(&*at);
        if (message == nullptr || (fits && !fits(*message))) continue;
        found = std::move(*message);
        inbox.erase(at);
        return true;
      }
      return false;
    });
    return std::move(*found);
  }
  // The state of an attempt becomes that.
  AttemptStatus expect_state(const std::string& attempt, AttemptState state);
  // Messages of that type (for which `fits`) that are here now.
  template <class T>
  std::size_t count(std::function<bool(const T&)> fits = nullptr) {
    MutexLock lock(state_->mutex);
    std::size_t number = 0;
    for (const Message& message : state_->inbox) {
      const T* one = std::get_if<T>(&message);
      if (one != nullptr && (!fits || fits(*one))) ++number;
    }
    return number;
  }
  std::size_t spool_bytes() {
    std::size_t bytes = 0;
    count<SpoolPart>([&](const SpoolPart& part) {
      bytes += part.bytes.size();
      return true;
    });
    return bytes;
  }
  // Rejected, then closed.
  Rejected expect_rejected();
  void expect_closed();
  // Everything that was said to the master until now has been heard (runs only).
  void settle();

  void drop() { link_.reset(); }
  MemoryWire& wire() { return *wire_; }
  Link& link() { return *link_; }

 private:
  struct State {
    Mutex mutex;
    CondVar changed;
    std::deque<Message> inbox GUARDED_BY(mutex);
    bool closed GUARDED_BY(mutex) = false;
  };
  void wait(const std::function<bool(std::deque<Message>&)>& done);

  std::shared_ptr<State> state_ = std::make_shared<State>();
  std::unique_ptr<Link> link_;
  std::shared_ptr<MemoryWire> wire_;
};

class MasterFixture {
 public:
  explicit MasterFixture(Master::Options options = {});
  ~MasterFixture();
  MasterFixture(const MasterFixture&) = delete;
  MasterFixture& operator=(const MasterFixture&) = delete;

  // The master goes and another one takes its directory.
  void restart();
  void stop() { master_.reset(); }

  Peer connect(Role role) { return Peer(executor_, *master_, role); }
  // An agent that has said hello and was welcomed; `attempts` are those it reports.
  Peer agent(const std::string& name, std::vector<AttemptReport> attempts = {},
             const std::string& key = "key-1");
  AgentHello hello(const std::string& name, std::vector<AttemptReport> attempts = {},
                   const std::string& key = "key-1") const;
  Peer run();

  static AttemptKey key(const std::string& task, int number = 1, const std::string& agent = "web-1");
  static Submit submit(const AttemptKey& key, const std::string& request = "a request");
  static AttemptReport report(const AttemptKey& key, AttemptState state,
                              const std::string& request = "a request");
  // Submitted by `run`, subscribed to, offered to `agent` and said to run there. Its id.
  static std::string running(Peer& run, Peer& agent, const AttemptKey& key);
  static AttemptResult result(const std::string& attempt, AttemptState state, std::uint64_t spool_end,
                              const std::string& outcome = "an outcome");

  // Of the journal. REQUIRES: stop().
  std::vector<std::string> steps(const std::string& attempt);
  std::int64_t number(const std::string& sql);
  std::string spool(const std::string& attempt) const;

  [[nodiscard]] const std::string& directory() const { return options_.directory; }
  Executor& executor() { return executor_; }
  const Clock& clock() { return clock_; }
  Master& master() { return *master_; }

 private:
  void check_journal();

  Executor executor_{{.workers = 2}};
  SystemClock clock_;
  Master::Options options_;
  std::unique_ptr<Master> master_;
};

}  // namespace sloth
