#include "agent/offers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/agent_session.h"
#include "agent/crash_point.h"
#include "agent/master_core.h"
#include "runner/base/duration.h"

namespace sloth {
namespace {

constexpr std::size_t kUnanswered = 64;
constexpr Duration kFirstPause = std::chrono::seconds(1);
constexpr Duration kLongestPause = std::chrono::seconds(10);
// Before something that the disk refused is tried again.
constexpr Duration kDiskPause = std::chrono::seconds(5);

int rank(AttemptState state) { return static_cast<int>(state); }

}  // namespace

void Offers::submit(Turn turn, AttemptRow row, AttemptRequest request,
                    UniqueFunction<void(Result<Attempt*>)> kept) {
  KnownAgent& agent = core_.registry.agent(row.key.agent);
  const bool at_once = agent.takes_offers() && agent.queue.empty() && agent.unanswered.size() < kUnanswered &&
                       core_.clock.now() >= agent.not_before;
  if (at_once) {
    // One commit for both states.
    row.state = AttemptState::kOffered;
    row.agent_key = agent.row.key;
    agent.unanswered.insert(row.id);
  }
  auto text = std::make_shared<std::string>(at_once ? request.request : std::string());
  core_.store->insert(row, std::move(request),
                      [this, turn = std::move(turn), row, text, at_once,
                       kept = std::move(kept)](Result<void> inserted) mutable {
                        KnownAgent& to = core_.registry.agent(row.key.agent);
                        if (!inserted) {
                          to.unanswered.erase(row.id);
                          return kept(inserted.error());
                        }
                        Attempt& attempt = turn.create(std::move(row));
                        core_.registry.annotate(attempt);
                        kept(&attempt);
                        if (!at_once) return resume(attempt);
                        crash_point("offer_committed");
                        core_.leases.follow(attempt);
                        send(attempt, std::move(*text));
                      });
}

void Offers::resume(Attempt& attempt) {
  arm(attempt,
      std::chrono::milliseconds(std::max<std::int64_t>(attempt.row.queue_ms - waited_ms(attempt), 0)));
  core_.registry.agent(attempt.row.key.agent).queue.push_back(attempt.row.id);
  pump(attempt.row.key.agent);
}

void Offers::pump(const std::string& name) {
  KnownAgent& agent = core_.registry.agent(name);
  while (agent.takes_offers() && !agent.queue.empty() && agent.unanswered.size() < kUnanswered &&
         core_.clock.now() >= agent.not_before) {
    const std::string id = std::move(agent.queue.front());
    agent.queue.pop_front();
    agent.unanswered.insert(id);
    core_.book.take(id, [this, name, id](Turn turn) {
      Attempt* attempt = turn.attempt();
      if (attempt != nullptr && attempt->row.state == AttemptState::kQueued) return offer(std::move(turn));
      core_.registry.agent(name).unanswered.erase(id);
    });
  }
}

void Offers::repeat(Turn turn) { offer(std::move(turn)); }

void Offers::offer(Turn turn) {
  const std::string id = turn.attempt()->row.id;
  core_.store->request_of(id, [this, turn = std::move(turn)](Result<std::string> request) mutable {
    if (core_.closed) return;
    if (request) return offer_with(std::move(turn), std::move(*request));
    core_.say(request.error().message);
    // Whoever comes here knows that nothing was started. Only when reading failed, the request may be there
    // yet.
    if (request.error().code != Code::kNotFound) return queue_again(std::move(turn), request.error().message);
    core_.endings.refuse(std::move(turn), request.error().message, OutcomeKind::kRefused);
  });
}

void Offers::offer_with(Turn turn, std::string request) {
  AttemptRow row = turn.attempt()->row;
  const KnownAgent& agent = core_.registry.agent(row.key.agent);
  row.state = AttemptState::kOffered;
  row.agent_key = agent.row.key;
  row.detail.clear();
  core_.store->update(
      row, [this, turn = std::move(turn), row, request = std::move(request)](Result<void> kept) mutable {
        Attempt& attempt = *turn.attempt();
        if (!kept) {
          core_.say(kept.error().message);
          KnownAgent& to = core_.registry.agent(row.key.agent);
          to.unanswered.erase(row.id);
          if (attempt.row.state == AttemptState::kQueued) {
            to.queue.push_front(row.id);
            pause(to);
          } else if (to.session) {
            to.session->reject(kept.error().message, false);  // it is said again when the agent comes back
          }
          return;
        }
        crash_point("offer_committed");
        if (!attempt.unknown) core_.cancel(attempt.timer);
        attempt.row = std::move(row);
        core_.registry.annotate(attempt);
        attempt.tell_watchers();
        core_.leases.follow(attempt);
        send(attempt, std::move(request));
      });
}

void Offers::send(const Attempt& attempt, std::string request) {
  const AttemptRow& row = attempt.row;
  // Nobody there any more: it is said again when the agent comes back without it.
  core_.registry.send(row.key.agent, Offer{row.id, row.key, row.digest, std::move(request)});
}

void Offers::answered(AgentSession& session, OfferAnswer answer) {
  const std::string name = session.name();
  const std::string id = answer.attempt;
  if (answer.state != AttemptState::kRefused) core_.registry.agent(name).pause = Duration::zero();
  core_.book.take(id, [this, weak = session.weak(), answer = std::move(answer)](Turn turn) {
    const auto from = weak.lock();
    if (!from || !from->owns(turn)) return;
    if (answer.state == AttemptState::kRefused) return refused(std::move(turn), answer);
    advance(std::move(turn),
            answer.state == AttemptState::kAccepted ? AttemptState::kAccepted : AttemptState::kRunning);
  });
  settle(name, id);
}

void Offers::settle(const std::string& agent, const std::string& attempt) {
  if (core_.registry.agent(agent).unanswered.erase(attempt) > 0) pump(agent);
}

void Offers::started(AgentSession& session, const AttemptStarted& started) {
  settle(session.name(), started.attempt);
  core_.book.take(started.attempt, [this, weak = session.weak()](Turn turn) {
    const auto from = weak.lock();
    if (from && from->owns(turn)) advance(std::move(turn), AttemptState::kRunning);
  });
}

void Offers::advance(Turn turn, AttemptState state) {
  Attempt& attempt = *turn.attempt();
  if (attempt.ended()) {
    const AttemptState end = attempt.row.state;
    // We said that nothing runs; so let nothing run.
    if (end == AttemptState::kCancelled || end == AttemptState::kRefused ||
        end == AttemptState::kInterrupted) {
      core_.registry.send(
          attempt.row.key.agent,
          CancelAttempt{attempt.row.id, fmt::format("it is {} already", attempt_state_name(end))});
    }
    return;
  }
  if (rank(attempt.row.state) >= rank(state)) return;
  AttemptRow row = attempt.row;
  row.state = state;
  core_.store->update(row, [this, turn = std::move(turn), row](Result<void> kept) mutable {
    Attempt& known = *turn.attempt();
    if (!kept) {
      core_.say(kept.error().message);
      if (const auto session = core_.registry.agent(row.key.agent).session)
        session->reject(kept.error().message, false);
      return;
    }
    if (!known.unknown) core_.cancel(known.timer);
    known.row = std::move(row);
    core_.registry.annotate(known);
    known.tell_watchers();
    core_.leases.follow(known);
  });
}

void Offers::refused(Turn turn, const OfferAnswer& answer) {
  Attempt& attempt = *turn.attempt();
  if (attempt.row.state != AttemptState::kOffered) {
    core_.say(fmt::format("agent {} refuses attempt {}, which is {} there: not believed",
                          attempt.row.key.agent, attempt.row.id, attempt_state_name(attempt.row.state)));
    return;
  }
  if (attempt.row.cancel) return core_.endings.call_off(std::move(turn));
  const std::string why = fmt::format("agent {} refused: {}", attempt.row.key.agent, answer.reason);
  if (answer.may_retry) return queue_again(std::move(turn), why);
  core_.endings.refuse(std::move(turn), why, OutcomeKind::kRefused);
}

void Offers::queue_again(Turn turn, const std::string& why) {
  AttemptRow row = turn.attempt()->row;
  pause(core_.registry.agent(row.key.agent));
  row.state = AttemptState::kQueued;
  row.detail = why;
  core_.store->update(row, [this, turn = std::move(turn), row](Result<void> kept) mutable {
    Attempt& attempt = *turn.attempt();
    KnownAgent& agent = core_.registry.agent(row.key.agent);
    agent.unanswered.erase(row.id);
    if (!kept) {
      core_.say(kept.error().message);
      core_.after(kDiskPause, [this, id = row.id, why = row.detail] { queue_again_later(id, why); });
      return;
    }
    attempt.unknown = false;
    attempt.row = std::move(row);
    arm(attempt,
        std::chrono::milliseconds(std::max<std::int64_t>(attempt.row.queue_ms - waited_ms(attempt), 0)));
    agent.queue.push_front(attempt.row.id);
    core_.registry.annotate(attempt);
    attempt.tell_watchers();
  });
}

void Offers::queue_again_later(const std::string& id, const std::string& why) {
  core_.book.take(id, [this, why](Turn turn) {
    const Attempt* attempt = turn.attempt();
    if (attempt != nullptr && attempt->row.state == AttemptState::kOffered) queue_again(std::move(turn), why);
  });
}

void Offers::pause(KnownAgent& agent) {
  agent.pause = std::clamp(agent.pause * 2, kFirstPause, kLongestPause);
  agent.not_before = core_.clock.now() + agent.pause;
  core_.cancel(agent.retry);
  agent.retry = core_.at(agent.not_before, [this, name = agent.row.name] {
    core_.registry.agent(name).retry = 0;
    pump(name);
  });
}

void Offers::arm(Attempt& attempt, Duration wait) {
  core_.cancel(attempt.timer);
  attempt.timer = core_.after(wait, [this, id = attempt.row.id] { give_up(id); });
}

void Offers::give_up(const std::string& id) {
  core_.book.take(id, [this](Turn turn) {
    Attempt* attempt = turn.attempt();
    if (attempt == nullptr || attempt->row.state != AttemptState::kQueued) return;
    attempt->timer = 0;
    arm(*attempt, kDiskPause);
    const std::string& agent = attempt->row.key.agent;
    const std::string waited = format_duration(std::chrono::milliseconds(attempt->row.queue_ms));
    const std::string problem = core_.registry.trouble(agent);
    const KnownAgent& known = core_.registry.agent(agent);
    if (!known.session) {
      const std::string why = fmt::format("agent {} is {}; waited {}", agent, problem, waited);
      return core_.endings.refuse(std::move(turn), why, OutcomeKind::kUnreachable);
    }
    std::string why = attempt->row.detail;
    if (!problem.empty()) why = fmt::format("agent {} is {}", agent, problem);
    if (why.empty()) why = fmt::format("agent {} has too much to do", agent);
    core_.endings.refuse(std::move(turn), fmt::format("{}; waited {}", why, waited), OutcomeKind::kRefused);
  });
}

std::int64_t Offers::waited_ms(const Attempt& attempt) const {
  return std::clamp<std::int64_t>(core_.clock.wall_ms() - attempt.row.queued_at_ms, 0, attempt.row.queue_ms);
}

}  // namespace sloth
