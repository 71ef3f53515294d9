#include "agent/run_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/bundle.h"
#include "agent/submission.h"

namespace sloth {
namespace {

constexpr std::uint64_t kPartBytes = std::uint64_t{256} << 10;
constexpr std::uint64_t kSubscriptionBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kLinkBytes = std::uint64_t{8} << 20;
constexpr std::uint64_t kLongestSpool = std::uint64_t{1} << 50;

}  // namespace

RunSession::RunSession(MasterCore& core, std::unique_ptr<Link> link)
    : core_(core), link_(std::move(link)), inbox_(core, *this) {}

RunSession::~RunSession() = default;

void RunSession::open() {
  const Strand strand = core_.strand;
  link_->open({[strand, weak = weak()](Message message) {
                 strand.post([weak, message = std::move(message)]() mutable {
                   const auto self = weak.lock();
                   if (self && !self->closing_) self->receive(std::move(message));
                 });
               },
               [strand, weak = weak()](const std::string&) {
                 strand.post([weak] {
                   if (const auto self = weak.lock()) self->let_go();
                 });
               }});
}

void RunSession::send(Message message) {
  if (!closing_) link_->send(std::move(message));
}

void RunSession::reject(const std::string& reason, bool permanent) {
  if (closing_) return;
  core_.say(fmt::format("a run is sent away: {}", reason));
  link_->send(Rejected{reason, permanent});
  link_->close();
  ended();
  // The other side may never take it.
  core_.after(core_.options.lease, [weak = weak()] {
    if (const auto self = weak.lock()) self->let_go();
  });
}

void RunSession::let_go() {
  const auto self = shared_from_this();
  ended();
  core_.sessions.erase(self);
}

void RunSession::ended() {
  if (std::exchange(closing_, true) || core_.closed) return;
  for (const auto& [id, subscription] : std::exchange(subscriptions_, {})) core_.book.unwatch(id, *this);
  starved_.clear();
  inbox_.drop();
}

void RunSession::receive(Message message) {
  if (const auto* hello = std::get_if<RunHello>(&message)) return greet(*hello);
  if (!greeted_) return reject(fmt::format("{} came before RunHello", message_name(message)), true);
  if (const auto* ack = std::get_if<SpoolAck>(&message)) return acked(*ack);
  if (auto* submit = std::get_if<Submit>(&message)) return submit_attempt(core_, *this, std::move(*submit));
  if (const auto* asked = std::get_if<Subscribe>(&message)) return subscribe(*asked);
  if (auto* part = std::get_if<ContentPart>(&message)) {
    if (auto taken = inbox_.take(std::move(*part)); !taken) reject(taken.error().message, true);
    return;
  }
  if (auto* wish = std::get_if<CancelAttempt>(&message)) return cancel(std::move(*wish));
  if (const auto* ack = std::get_if<ResultAck>(&message)) return end_subscription(ack->attempt);
  if (const auto* asked = std::get_if<ListAttempts>(&message)) return list(asked->run);
  if (std::holds_alternative<ListAgents>(message)) return send(core_.registry.list());
  if (const auto* command = std::get_if<AgentCommand>(&message)) {
    return core_.registry.command(*command, [weak = weak(), name = command->name](std::string error) {
      if (const auto alive = weak.lock()) alive->send(CommandAnswer{name, std::move(error)});
    });
  }
  reject(fmt::format("{} is nothing that a run may say", message_name(message)), true);
}

void RunSession::greet(const RunHello& hello) {
  if (greeted_) return reject("a second RunHello", true);
  if (hello.protocol != kProtocolVersion) {
    return reject(
        fmt::format(
            "this master speaks protocol {} (sloth {}), the run protocol {} (sloth {}); bring both to "
            "the same version",
            kProtocolVersion, core_.options.version, hello.protocol, hello.version),
        true);
  }
  greeted_ = true;
  send(RunWelcome{core_.options.version});
}

void RunSession::subscribe(const Subscribe& subscribe) {
  if (subscribe.offset > kLongestSpool) return reject("a subscription beyond the end of any spool", true);
  if (refused_.count(subscribe.attempt) != 0) return;
  core_.book.take(subscribe.attempt, [this, weak = weak(), subscribe](Turn turn) {
    const auto alive = weak.lock();
    if (!alive || closing_ || refused_.count(subscribe.attempt) != 0) return;
    if (const Error* error = turn.error()) return reject(error->message, false);
    Attempt* attempt = turn.attempt();
    if (attempt == nullptr)
      return reject(fmt::format("no attempt {} is known here", subscribe.attempt), true);
    Subscription& subscription = subscriptions_[subscribe.attempt];
    under_way_ -= subscription.sent - subscription.acked + subscription.reserved;
    subscription = Subscription{};
    subscription.number = ++numbers_;
    subscription.sent = subscription.acked = subscribe.offset;
    AttemptBook::watch(*attempt, *this);
    core_.registry.annotate(*attempt);
    follow(*attempt, subscription);
  });
}

void RunSession::attempt_changed(const Attempt& attempt) {
  const auto found = subscriptions_.find(attempt.row.id);
  if (found != subscriptions_.end()) follow(attempt, found->second);
}

void RunSession::follow(const Attempt& attempt, Subscription& subscription) {
  if (subscription.told_state != attempt.shown() || subscription.told_note != attempt.note) {
    subscription.told_state = attempt.shown();
    subscription.told_note = attempt.note;
    send(AttemptStatus{attempt.row.id, attempt.shown(), attempt.note});
  }
  pump(attempt, subscription);
}

void RunSession::tell(const Attempt& attempt) {
  const auto found = subscriptions_.find(attempt.row.id);
  if (found != subscriptions_.end()) {
    found->second.told_state = attempt.shown();
    found->second.told_note = attempt.note;
  }
  send(AttemptStatus{attempt.row.id, attempt.shown(), attempt.note});
}

void RunSession::refuse(const std::string& id, const std::string& why) {
  refused_.insert(id);
  Outcome outcome;
  outcome.kind = OutcomeKind::kRefused;
  outcome.message = why;
  send(AttemptStatus{id, AttemptState::kRefused, why});
  send(AttemptResult{id, AttemptState::kRefused, encode_outcome(outcome), 0});
}

void RunSession::pump(const Attempt& attempt, Subscription& subscription) {
  if (subscription.reserved > 0 || closing_) return;
  const std::uint64_t readable = attempt.readable();
  if (subscription.sent >= readable) {
    if (attempt.ended() && !std::exchange(subscription.result_sent, true)) {
      send(AttemptResult{attempt.row.id, attempt.row.state, attempt.row.outcome, readable});
    }
    return;
  }
  const std::uint64_t window =
      kSubscriptionBytes - std::min(kSubscriptionBytes, subscription.sent - subscription.acked);
  const std::uint64_t link_window = kLinkBytes - std::min(kLinkBytes, under_way_);
  if (window > 0 && link_window < kPartBytes) {
    if (std::find(starved_.begin(), starved_.end(), attempt.row.id) == starved_.end()) {
      starved_.push_back(attempt.row.id);
    }
    return;
  }
  const std::uint64_t size = std::min({kPartBytes, window, readable - subscription.sent});
  if (size == 0) return;
  subscription.reserved = size;
  under_way_ += size;
  const std::string id = attempt.row.id;
  core_.spools->read(id, subscription.sent, size,
                     [this, weak = weak(), id, number = subscription.number,
                      offset = subscription.sent](Result<std::string> bytes) {
                       if (const auto alive = weak.lock()) read(id, number, offset, std::move(bytes));
                     });
}

void RunSession::read(const std::string& id, std::uint64_t number, std::uint64_t offset,
                      Result<std::string> bytes) {
  if (closing_ || core_.closed) return;
  const auto found = subscriptions_.find(id);
  if (found == subscriptions_.end() || found->second.number != number) return;
  Subscription& subscription = found->second;
  under_way_ -= std::exchange(subscription.reserved, 0);
  if (!bytes || bytes->empty()) {
    const std::string why =
        bytes ? fmt::format("the spool of attempt {} has lost bytes", id) : bytes.error().message;
    return reject(why, false);
  }
  subscription.sent = offset + bytes->size();
  under_way_ += bytes->size();
  send(SpoolPart{id, offset, std::move(*bytes)});
  if (const Attempt* attempt = core_.book.find(id)) pump(*attempt, subscription);
}

void RunSession::acked(const SpoolAck& ack) {
  const auto found = subscriptions_.find(ack.attempt);
  if (found == subscriptions_.end()) return;  // ended meanwhile
  Subscription& subscription = found->second;
  const Attempt* attempt = core_.book.find(ack.attempt);
  if (attempt == nullptr || ack.offset <= subscription.acked) return;
  // A part that was on its way before the last Subscribe may be acknowledged after it; nothing beyond what is
  // here.
  if (ack.offset > std::max(subscription.sent, attempt->readable())) {
    return reject(
        fmt::format("attempt {}: {} bytes acknowledged, {} sent", ack.attempt, ack.offset, subscription.sent),
        true);
  }
  if (ack.offset > subscription.sent) return;
  under_way_ -= ack.offset - subscription.acked;
  subscription.acked = ack.offset;
  pump(*attempt, subscription);
  feed_starved();
}

void RunSession::feed_starved() {
  while (!starved_.empty() && kLinkBytes - std::min(kLinkBytes, under_way_) >= kPartBytes) {
    const std::string id = std::move(starved_.front());
    starved_.pop_front();
    const auto found = subscriptions_.find(id);
    const Attempt* attempt = core_.book.find(id);
    if (found == subscriptions_.end() || attempt == nullptr) continue;
    pump(*attempt, found->second);
  }
}

void RunSession::end_subscription(const std::string& id) {
  const auto found = subscriptions_.find(id);
  // One that was subscribed again meanwhile still waits for its own result.
  if (found == subscriptions_.end() || !found->second.result_sent) return;
  under_way_ -= found->second.sent - found->second.acked + found->second.reserved;
  subscriptions_.erase(found);
  core_.book.unwatch(id, *this);
  feed_starved();
}

void RunSession::cancel(CancelAttempt cancel) {
  if (refused_.count(cancel.attempt) != 0) return;
  core_.endings.cancel(cancel.attempt, std::move(cancel.reason),
                       [this, weak = weak()](Result<const Attempt*> now) {
                         const auto alive = weak.lock();
                         if (!alive || closing_) return;
                         if (!now) return reject(now.error().message, now.error().code == Code::kNotFound);
                         if (subscriptions_.count((*now)->row.id) == 0) tell(**now);
                       });
}

void RunSession::list(const std::string& run) {
  core_.store->of_run(run, [this, weak = weak(), run](Result<std::vector<AttemptSummary>> all) {
    const auto alive = weak.lock();
    if (!alive || closing_ || core_.closed) return;
    if (!all) return reject(all.error().message, false);
    for (AttemptSummary& summary : *all) {
      const Attempt* attempt = core_.book.find(summary.attempt);
      if (attempt != nullptr) summary.state = attempt->shown();
    }
    send(RunAttempts{run, std::move(*all)});
  });
}

}  // namespace sloth
