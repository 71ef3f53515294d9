#include "agent/agent_session.h"

#include <fmt/format.h>

#include <utility>

#include "agent/digest.h"
#include "agent/wire.h"

namespace sloth {
namespace {

// Of an attempt that this master hears of from its agent only: its own journal was lost, or is an older copy.
constexpr std::int64_t kAdoptedWaitMs = 600'000;
constexpr std::size_t kMostReports = 100'000;

bool sound(const AttemptReport& report, const std::string& agent) {
  return report.key.agent == agent && is_digest(report.digest) && attempt_id(report.key) == report.attempt &&
         report.state != AttemptState::kQueued && report.state != AttemptState::kUnknown &&
         report.state != AttemptState::kLost;
}

// A report of an end is followed by the result itself.
AttemptState alive(AttemptState state) { return is_terminal(state) ? AttemptState::kRunning : state; }

}  // namespace

AgentSession::AgentSession(MasterCore& core, std::unique_ptr<Link> link)
    : core_(core), link_(std::move(link)), feed_(core, *link_) {}

AgentSession::~AgentSession() = default;

void AgentSession::open() {
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

void AgentSession::send(Message message) {
  if (!closing_) link_->send(std::move(message));
}

void AgentSession::reject(const std::string& reason, bool permanent) {
  if (closing_) return;
  core_.say(fmt::format("agent {} is sent away: {}", name().empty() ? "without a name" : name(), reason));
  link_->send(Rejected{reason, permanent});
  link_->close();
  ended();
  // The other side may never take it.
  core_.after(core_.options.lease, [weak = weak()] {
    if (const auto self = weak.lock()) self->let_go();
  });
}

void AgentSession::drop() {
  if (closing_) return;
  link_->close();
  let_go();
}

void AgentSession::let_go() {
  const auto self = shared_from_this();
  ended();
  core_.sessions.erase(self);
}

void AgentSession::ended() {
  if (std::exchange(closing_, true) || core_.closed) return;
  for (const std::string& id : waiting_results_) core_.endings.forget_result(id);
  core_.registry.leave(*this);
}

bool AgentSession::owns(const Turn& turn) {
  if (closing_) return false;
  if (const Error* error = turn.error()) {
    reject(error->message, false);
    return false;
  }
  const Attempt* attempt = turn.attempt();
  if (attempt != nullptr && attempt->row.key.agent == name()) return true;
  reject(attempt == nullptr
             ? "it speaks of an attempt that is not known here"
             : fmt::format("attempt {} belongs to agent {}", attempt->row.id, attempt->row.key.agent),
         true);
  return false;
}

void AgentSession::receive(Message message) {
  if (auto* hello = std::get_if<AgentHello>(&message)) return greet(std::move(*hello));
  if (!greeted_) return reject(fmt::format("{} came before AgentHello", message_name(message)), true);
  core_.leases.heard(core_.registry.agent(name()));
  if (auto* part = std::get_if<SpoolPart>(&message)) return core_.endings.spool(*this, std::move(*part));
  if (const auto* beat = std::get_if<Heartbeat>(&message)) {
    KnownAgent& known = core_.registry.agent(name());
    known.running = beat->running;
    if (std::exchange(known.draining, beat->draining) == beat->draining) return;
    core_.registry.annotate_all(name());
    return core_.offers.pump(name());
  }
  if (auto* answer = std::get_if<OfferAnswer>(&message)) {
    const bool possible = answer->state != AttemptState::kQueued && answer->state != AttemptState::kOffered &&
                          answer->state != AttemptState::kUnknown && answer->state != AttemptState::kLost;
    if (possible) return core_.offers.answered(*this, std::move(*answer));
    return reject(fmt::format("\"{}\" is no answer to an offer", attempt_state_name(answer->state)), true);
  }
  if (const auto* started = std::get_if<AttemptStarted>(&message))
    return core_.offers.started(*this, *started);
  if (auto* result = std::get_if<AttemptResult>(&message))
    return core_.endings.result(*this, std::move(*result));
  if (const auto* wanted = std::get_if<ContentWanted>(&message)) {
    if (auto more = feed_.want(wanted->digests); !more) reject(more.error().message, true);
    return;
  }
  if (std::holds_alternative<Goodbye>(message)) return drop();
  reject(fmt::format("{} is nothing that an agent may say", message_name(message)), true);
}

void AgentSession::greet(AgentHello hello) {
  if (greeted_) return reject("a second AgentHello", true);
  if (hello.protocol != kProtocolVersion) {
    return reject(
        fmt::format("this master speaks protocol {} (sloth {}), the agent protocol {} (sloth {}); bring both "
                    "to the same version",
                    kProtocolVersion, core_.options.version, hello.protocol, hello.version),
        true);
  }
  if (!is_name(hello.name)) {
    return reject(
        "the agent's name must be 1 to 63 letters, digits, dots, dashes or underscores, a letter or digit "
        "first",
        true);
  }
  if (hello.key.empty() || hello.attempts.size() > kMostReports)
    return reject("a malformed AgentHello", true);
  for (const AttemptReport& report : hello.attempts) {
    if (!sound(report, hello.name))
      return reject(fmt::format("attempt {}: a malformed report", report.attempt), true);
  }
  const auto self = weak().lock();
  hello_ = std::move(hello);
  if (!core_.registry.join(self, hello_)) return;
  greeted_ = true;
  // Before anything else that it says: later answers must not look like what it did not list.
  std::vector<Stood> stood;
  for (const std::string& id : core_.book.live_of(name())) {
    if (const Attempt* attempt = core_.book.find(id)) stood.push_back({id, attempt->row.state});
  }
  KnownAgent& known = core_.registry.agent(name());
  core_.leases.heard(known);
  core_.store->put_agent(known.row, [this, weak = weak(), stood = std::move(stood)](Result<void> kept) {
    const auto alive = weak.lock();
    if (!alive || closing_) return;
    if (!kept) return reject(kept.error().message, false);
    welcome(stood);
  });
}

void AgentSession::welcome(const std::vector<Stood>& stood) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  core_.say(fmt::format("agent {} joined from {} (pid {}, sloth {})", name(), hello_.host, hello_.pid,
                        hello_.version));
  send(AgentWelcome{duration_cast<milliseconds>(core_.options.lease).count(),
                    duration_cast<milliseconds>(core_.options.heartbeat).count()});
  std::set<std::string> listed;
  for (const AttemptReport& report : hello_.attempts) {
    listed.insert(report.attempt);
    compare(report);
  }
  for (const Stood& one : stood) {
    if (listed.count(one.id) == 0) miss(one);
  }
  core_.registry.annotate_all(name());
  core_.offers.pump(name());
  hello_.attempts.clear();
}

void AgentSession::compare(const AttemptReport& report) {
  core_.book.take(report.attempt, [this, weak = weak(), report](Turn turn) {
    const auto alive_still = weak.lock();
    if (!alive_still || closing_) return;
    if (const Error* error = turn.error()) return reject(error->message, false);
    const Attempt* attempt = turn.attempt();
    if (attempt == nullptr) return adopt(std::move(turn), report);
    if (attempt->row.digest != report.digest) {
      core_.say(fmt::format("attempt {}: agent {} has another bundle of it", report.attempt, name()));
    }
    const bool runs = !is_terminal(report.state);
    if (attempt->row.state == AttemptState::kLost) {
      if (runs) lost_but_alive(std::move(turn));
      return;
    }
    if (attempt->ended() && !runs) return;
    if (attempt->row.cancel && runs) send(CancelAttempt{report.attempt, attempt->row.cancel_reason});
    core_.offers.advance(std::move(turn), alive(report.state));
  });
}

// It may go on, for the evidence, unless somebody wants its end: by a cancel, or by a later attempt.
void AgentSession::lost_but_alive(Turn turn) {
  const AttemptRow& row = turn.attempt()->row;
  if (row.cancel) return send(CancelAttempt{row.id, row.cancel_reason});
  const AttemptKey key = row.key;
  core_.store->is_superseded(key, [this, weak = weak(), turn = std::move(turn)](Result<bool> later) {
    const auto alive_still = weak.lock();
    if (!alive_still || !later || !*later) return;
    send(CancelAttempt{turn.attempt()->row.id, "it was lost, and a later attempt has taken its place"});
  });
}

void AgentSession::adopt(Turn turn, const AttemptReport& report) {
  AttemptRow row;
  row.id = report.attempt;
  row.key = report.key;
  row.digest = report.digest;
  row.state = alive(report.state);
  row.detail = "found at its agent";
  row.agent_key = hello_.key;
  row.queue_ms = kAdoptedWaitMs;
  row.lost_ms = kAdoptedWaitMs;
  row.queued_at_ms = core_.clock.wall_ms();
  core_.say(
      fmt::format("attempt {} ({}) was not known here: found at agent {}", row.id, row.key.task, name()));
  core_.store->insert(row, {}, [this, weak = weak(), row, turn = std::move(turn)](Result<void> kept) mutable {
    const auto alive_still = weak.lock();
    if (!kept) {
      if (alive_still) reject(kept.error().message, false);
      return;
    }
    Attempt& attempt = turn.create(row);
    core_.leases.follow(attempt);
  });
}

void AgentSession::miss(const Stood& stood) {
  core_.book.take(stood.id, [this, weak = weak(), stood](Turn turn) {
    const auto alive_still = weak.lock();
    const Attempt* attempt = turn.attempt();
    if (!alive_still || closing_ || attempt == nullptr || attempt->row.state != stood.state) return;
    switch (stood.state) {
      case AttemptState::kOffered:
      case AttemptState::kAccepted:
        // Its journal has no row of it, so it was not started.
        if (attempt->row.cancel) return core_.endings.call_off(std::move(turn));
        core_.registry.agent(name()).unanswered.insert(stood.id);
        return core_.offers.repeat(std::move(turn));
      case AttemptState::kRunning:
        return core_.endings.interrupt(
            std::move(turn),
            fmt::format("agent {} came back without it: it was started, and how it ended is not known",
                        name()));
      default: return;
    }
  });
}

}  // namespace sloth
