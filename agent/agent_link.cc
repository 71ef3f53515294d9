#include "agent/agent_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sloth {
namespace {

constexpr std::size_t kMostQueued = std::size_t{4} << 20;
constexpr Duration kGreetingTime = std::chrono::seconds(15);
constexpr Duration kLeavingTime = std::chrono::seconds(2);

}  // namespace

AgentLink::AgentLink(Errands& errands, const Clock& clock, Dialer& dialer, Duration redial_first,
                     Duration redial_most, Ports ports)
    : errands_(errands),
      clock_(clock),
      dialer_(dialer),
      redial_first_(redial_first),
      redial_most_(redial_most),
      ports_(std::move(ports)) {}

void AgentLink::dial() {
  if (state_ != State::kIdle) return;
  state_ = State::kGreeting;
  greeted_ = false;
  const std::uint64_t dial = ++dial_;
  link_ = dialer_.dial(Role::kAgent);
  const Strand strand = errands_.strand();
  const std::weak_ptr<AgentLink> weak = weak_from_this();
  link_->open({.received =
                   [strand, weak, dial](Message message) {
                     strand.post([weak, dial, message = std::move(message)]() mutable {
                       if (const auto self = weak.lock()) self->on_message(dial, std::move(message));
                     });
                   },
               .closed =
                   [strand, weak, dial](std::string reason) {
                     strand.post([weak, dial, reason = std::move(reason)] {
                       if (const auto self = weak.lock()) self->on_closed(dial, reason);
                     });
                   }});
  errands_.after(kGreetingTime, weak, [this, dial] {
    if (dial == dial_ && state_ == State::kGreeting) break_off("the master does not answer");
  });
  greet();
}

void AgentLink::greet() {
  if (state_ != State::kGreeting || greeted_) return;
  auto hello = ports_.hello();
  if (!hello) return;
  greeted_ = true;
  link_->send(std::move(*hello));
}

void AgentLink::send(Message message) {
  if (state_ == State::kUp) link_->send(std::move(message));
}

bool AgentLink::has_room() const { return state_ == State::kUp && link_->queued_bytes() < kMostQueued; }

bool AgentLink::is_stale() const { return alive_ && clock_.now() - *alive_ > lease_; }

bool AgentLink::lease_holds() const { return alive_ && !is_stale(); }

void AgentLink::on_message(std::uint64_t dial, Message message) {
  if (dial != dial_ || link_ == nullptr) return;
  if (const auto* rejected = std::get_if<Rejected>(&message)) {
    on_rejected(*rejected);
    return;
  }
  if (const auto* welcome = std::get_if<AgentWelcome>(&message)) {
    on_welcome(*welcome);
    return;
  }
  if (state_ != State::kUp) return;
  if (is_stale()) {
    break_off("this process stood still for longer than its lease");
    return;
  }
  alive_ = clock_.now();
  ports_.received(std::move(message));
}

void AgentLink::on_welcome(const AgentWelcome& welcome) {
  if (state_ != State::kGreeting) return;
  state_ = State::kUp;
  failures_ = 0;
  hopeless_ = false;
  lease_ = std::chrono::milliseconds(std::max<std::int64_t>(welcome.lease_ms, 1));
  heartbeat_ = std::chrono::milliseconds(std::max<std::int64_t>(welcome.heartbeat_ms, 1));
  alive_ = clock_.now();
  note_once("connected to the master");
  beat_later();
  ports_.up();
}

void AgentLink::on_rejected(const Rejected& rejected) {
  note_once(fmt::format("rejected by the master: {}", rejected.reason));
  hopeless_ = rejected.permanent;
  lost();
}

void AgentLink::on_closed(std::uint64_t dial, const std::string& reason) {
  if (dial != dial_ || link_ == nullptr) return;
  if (state_ == State::kLeaving) {
    stop();
    return;
  }
  if (!reason.empty()) note_once(fmt::format("no connection to the master: {}", reason));
  lost();
}

void AgentLink::break_off(const std::string& reason) {
  if (link_ == nullptr || state_ == State::kLeaving) return;
  note_once(fmt::format("connection to the master ended here: {}", reason));
  lost();
}

void AgentLink::lost() {
  const bool was_up = state_ == State::kUp;
  link_.reset();
  state_ = State::kIdle;
  if (was_up) ports_.down();
  dial_later();
}

void AgentLink::dial_later() {
  // Full jitter: a thousand agents that lost one master come back spread over the whole time. Where trying
  // again cannot help it is still tried, slowly: people remove the cause.
  const Duration most =
      hopeless_ ? redial_most_
                : std::min<Duration>(redial_most_, redial_first_ * (1LL << std::min(failures_, 20)));
  ++failures_;
  std::uniform_int_distribution<std::int64_t> any(hopeless_ ? most.count() / 2 : 0, most.count());
  errands_.after(Duration(any(random_)), weak_from_this(), [this, dial = dial_] {
    if (dial == dial_) this->dial();
  });
}

void AgentLink::beat() {
  if (state_ != State::kUp) return;
  link_->send(ports_.heartbeat());
}

void AgentLink::beat_later() {
  errands_.after(heartbeat_, weak_from_this(), [this, dial = dial_] {
    if (dial != dial_ || state_ != State::kUp) return;
    if (is_stale()) {
      break_off("the lease is over");
      return;
    }
    // The last beat was handed to the network.
    if (link_->queued_bytes() == 0) alive_ = clock_.now();
    beat();
    beat_later();
  });
}

void AgentLink::leave(UniqueFunction<void()> left) {
  left_ = std::move(left);
  if (state_ != State::kUp) {
    stop();
    return;
  }
  state_ = State::kLeaving;
  link_->send(Goodbye{});
  link_->close();
  errands_.after(kLeavingTime, weak_from_this(), [this] { stop(); });
}

void AgentLink::stop() {
  state_ = State::kStopped;
  ++dial_;
  link_.reset();
  if (left_) std::exchange(left_, nullptr)();
}

void AgentLink::note_once(const std::string& text) {
  if (text == noted_) return;
  noted_ = text;
  ports_.note(text);
}

}  // namespace sloth
