// AgentLink: an agent's connection to its master: dialled, lost, dialled again; the lease that goes with it.
//
// Strand-confined: call only on its strand.
//
//   start -> dial -> hello -> welcome: up -> (heartbeats) -> lost: down -> a moment of full jitter -> dial
//   ...
//
// The lease is this side's view of it: after a silence (a stopped process, a partition) longer than it, the
// master may have given the attempts up; what lies in the link from before is not believed, and nothing new
// starts until a new link was welcomed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "agent/errands.h"
#include "agent/link.h"
#include "agent/message.h"
#include "runner/base/clock.h"
#include "runner/base/unique_function.h"

namespace sloth {

class AgentLink : public std::enable_shared_from_this<AgentLink> {
 public:
  struct Ports {
    std::function<std::optional<AgentHello>()>
        hello;  // empty: not now; greet() is called when it can be said
    std::function<Heartbeat()> heartbeat;
    std::function<void()> up;
    std::function<void()> down;
    std::function<void(Message)> received;  // while up
    std::function<void(std::string)> note;
  };

  // Between two dials: a random time up to redial_first, doubled each time, at most redial_most.
  AgentLink(Errands& errands, const Clock& clock, Dialer& dialer, Duration redial_first, Duration redial_most,
            Ports ports);

  void start() { dial(); }
  // The hello that `hello` could not give.
  void greet();
  [[nodiscard]] bool up() const { return state_ == State::kUp; }
  // The master cannot have given this agent up yet.
  [[nodiscard]] bool lease_holds() const;
  // Dropped when not up.
  void send(Message message);
  // Now instead of with the next beat.
  void beat();
  // Of bulk: false when enough is queued already.
  [[nodiscard]] bool has_room() const;
  // Ends the connection and dials again.
  void break_off(const std::string& reason);
  // Goodbye; `left` when it was handed over, or could not be. No dial follows.
  void leave(UniqueFunction<void()> left);
  // At once, without a word.
  void stop();

 private:
  enum class State { kIdle, kGreeting, kUp, kLeaving, kStopped };

  void dial();
  void dial_later();
  void lost();
  void on_message(std::uint64_t dial, Message message);
  void on_closed(std::uint64_t dial, const std::string& reason);
  void on_welcome(const AgentWelcome& welcome);
  void on_rejected(const Rejected& rejected);
  void beat_later();
  [[nodiscard]] bool is_stale() const;
  void note_once(const std::string& text);

  Errands& errands_;
  const Clock& clock_;
  Dialer& dialer_;
  const Duration redial_first_;
  const Duration redial_most_;
  const Ports ports_;
  std::mt19937_64 random_{std::random_device{}()};
  State state_ = State::kIdle;
  std::unique_ptr<Link> link_;
  std::uint64_t dial_ = 0;  // counts dials; what belongs to an older one is dropped
  bool greeted_ = false;
  int failures_ = 0;
  bool hopeless_ = false;  // the master said that trying again cannot help
  Duration lease_ = std::chrono::seconds(30);
  Duration heartbeat_ = std::chrono::seconds(10);
  std::optional<TimePoint> alive_;  // when the master was known to hear us
  std::string noted_;
  UniqueFunction<void()> left_;
};

}  // namespace sloth
