#include "agent/endings.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/agent_session.h"
#include "agent/bundle.h"
#include "agent/crash_point.h"
#include "agent/master_core.h"
#include "runner/base/duration.h"

namespace sloth {
namespace {

constexpr std::uint64_t kPartBytes = std::uint64_t{256} << 10;
// An agent keeps 1 MiB under way; more than this waits for the disk only when it does not keep to that.
constexpr std::uint64_t kWaitingBytes = std::uint64_t{4} << 20;
constexpr std::uint64_t kLongestSpool = std::uint64_t{1} << 50;
constexpr Duration kDiskPause = std::chrono::seconds(5);

std::string outcome_of(OutcomeKind kind, const std::string& message) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = message;
  return encode_outcome(outcome);
}

bool comes_from_agents(AttemptState state) {
  return state == AttemptState::kSucceeded || state == AttemptState::kFailed ||
         state == AttemptState::kTimedOut || state == AttemptState::kCancelled ||
         state == AttemptState::kInterrupted;
}

}  // namespace

void Endings::spool(AgentSession& session, SpoolPart part) {
  if (part.bytes.size() > kPartBytes || part.offset > kLongestSpool) {
    return session.reject(
        fmt::format("a part of {} bytes at {} of a spool is too much", part.bytes.size(), part.offset), true);
  }
  Attempt* attempt = core_.book.find_idle(part.attempt);
  if (attempt != nullptr && attempt->row.key.agent == session.name())
    return keep(session, *attempt, std::move(part));
  const std::string id = part.attempt;
  core_.book.take(id, [this, weak = session.weak(), part = std::move(part)](Turn turn) mutable {
    const auto from = weak.lock();
    if (from && from->owns(turn)) keep(*from, *turn.attempt(), std::move(part));
  });
}

void Endings::keep(AgentSession& session, Attempt& attempt, SpoolPart part) {
  if (part.offset > attempt.spool_taken || part.offset + part.bytes.size() <= attempt.spool_taken) {
    // Beyond, or known: the agent goes on from where we are.
    return session.send(SpoolAck{attempt.row.id, attempt.spool_durable});
  }
  std::string fresh = part.bytes.substr(attempt.spool_taken - part.offset);
  const std::uint64_t offset = attempt.spool_taken;
  attempt.spool_taken += fresh.size();
  if (attempt.spool_taken - attempt.spool_durable > kWaitingBytes) {
    attempt.spool_taken = offset;
    return session.reject(fmt::format("attempt {}: more than {} bytes of output without an acknowledgement",
                                      attempt.row.id, kWaitingBytes),
                          true);
  }
  core_.spools->append(attempt.row.id, offset, std::move(fresh),
                       [this, id = attempt.row.id, generation = attempt.spool_generation](
                           Result<std::uint64_t> end) { kept(id, generation, std::move(end)); });
}

void Endings::kept(const std::string& id, std::uint64_t generation, Result<std::uint64_t> end) {
  Attempt* attempt = core_.book.find(id);
  if (core_.closed || attempt == nullptr || attempt->spool_generation != generation) return;
  const std::string agent = attempt->row.key.agent;
  if (!end) {
    // What follows the failed part means nothing any more: the agent sends it again on its next link.
    ++attempt->spool_generation;
    attempt->spool_taken = attempt->spool_durable;
    attempt->result.reset();
    core_.say(end.error().message);
    if (const auto session = core_.registry.agent(agent).session) session->reject(end.error().message, false);
    return core_.book.release(id);
  }
  crash_point("spool_written");
  attempt->spool_durable = *end;
  core_.registry.send(agent, SpoolAck{id, attempt->spool_durable});
  if (attempt->result && attempt->result->spool_end <= attempt->spool_durable) {
    AttemptResult waiting = std::move(*attempt->result);
    attempt->result.reset();
    if (const auto session = core_.registry.agent(agent).session) result(*session, std::move(waiting));
  }
  attempt->tell_watchers();
  core_.book.release(id);
}

void Endings::result(AgentSession& session, AttemptResult result) {
  if (!comes_from_agents(result.state)) {
    return session.reject(fmt::format("attempt {}: \"{}\" is no end that an agent may tell", result.attempt,
                                      attempt_state_name(result.state)),
                          true);
  }
  const std::string id = result.attempt;
  core_.offers.settle(session.name(), id);
  core_.book.take(id, [this, weak = session.weak(), result = std::move(result)](Turn turn) mutable {
    const auto from = weak.lock();
    if (from && from->owns(turn)) decide(*from, std::move(turn), std::move(result));
  });
}

void Endings::decide(AgentSession& session, Turn turn, AttemptResult result) {
  Attempt& attempt = *turn.attempt();
  if (attempt.ended() && attempt.row.state == result.state && attempt.row.outcome == result.outcome)
    return ack(attempt);
  if (attempt.spool_durable < result.spool_end) {
    attempt.result = std::move(result);
    return session.result_waits(attempt.row.id);
  }
  if (attempt.ended()) return late(std::move(turn), std::move(result));
  const std::uint64_t spool_end = std::max(result.spool_end, attempt.spool_durable);
  end(std::move(turn), result.state, "", std::move(result.outcome), spool_end,
      [this, id = attempt.row.id, weak = session.weak()](Result<void> committed) {
        const auto from = weak.lock();
        if (!committed) {
          if (from) from->reject(committed.error().message, false);
          return;
        }
        crash_point("result_committed");
        if (const Attempt* ended = core_.book.find(id)) ack(*ended);
      });
}

void Endings::late(Turn turn, AttemptResult result) {
  core_.say(fmt::format("attempt {} ({}) is {} already; its late result ({}) is kept as evidence",
                        result.attempt, turn.attempt()->row.key.task,
                        attempt_state_name(turn.attempt()->row.state), attempt_state_name(result.state)));
  core_.store->add_evidence(std::move(result), core_.clock.wall_ms(),
                            [this, turn = std::move(turn)](Result<void> committed) {
                              const Attempt& attempt = *turn.attempt();
                              if (committed) return ack(attempt);
                              core_.say(committed.error().message);
                            });
}

void Endings::ack(const Attempt& attempt) {
  core_.registry.send(attempt.row.key.agent, ResultAck{attempt.row.id});
}

void Endings::forget_result(const std::string& id) {
  if (Attempt* attempt = core_.book.find(id)) attempt->result.reset();
  core_.book.release(id);
}

void Endings::cancel(const std::string& id, std::string reason,
                     UniqueFunction<void(Result<const Attempt*>)> told) {
  core_.book.take(id, [this, id, reason = std::move(reason), told = std::move(told)](Turn turn) mutable {
    if (const Error* error = turn.error()) return told(*error);
    const Attempt* attempt = turn.attempt();
    if (attempt == nullptr)
      return told(Error{Code::kNotFound, fmt::format("no attempt {} is known here", id)});
    if (attempt->ended()) return told(attempt);
    request_cancel(std::move(turn), std::move(reason), std::move(told));
  });
}

void Endings::request_cancel(Turn turn, std::string reason,
                             UniqueFunction<void(Result<const Attempt*>)> told) {
  AttemptRow row = turn.attempt()->row;
  const bool again = std::exchange(row.cancel, true);
  if (!again) row.cancel_reason = std::move(reason);
  if (row.state == AttemptState::kQueued) {
    const std::string why = row.cancel_reason.empty() ? "cancelled before it was started" : row.cancel_reason;
    const std::string id = row.id;
    // `told` when the turn is over: by then it has ended, or the disk said no.
    end(std::move(turn), AttemptState::kCancelled, why, outcome_of(OutcomeKind::kCancelled, why), 0,
        [this, id, told = std::move(told)](Result<void> committed) mutable {
          if (!committed) return told(committed.error());
          told(core_.book.find(id));
        });
    return;
  }
  if (again) {
    core_.registry.send(row.key.agent, CancelAttempt{row.id, row.cancel_reason});
    return told(turn.attempt());
  }
  core_.store->update(
      row, [this, turn = std::move(turn), row, told = std::move(told)](Result<void> kept) mutable {
        if (!kept) return told(kept.error());
        Attempt& attempt = *turn.attempt();
        attempt.row = std::move(row);
        core_.registry.annotate(attempt);
        attempt.tell_watchers();
        core_.registry.send(attempt.row.key.agent, CancelAttempt{attempt.row.id, attempt.row.cancel_reason});
        told(&attempt);
      });
}

void Endings::call_off(Turn turn) {
  const std::string& reason = turn.attempt()->row.cancel_reason;
  const std::string why = reason.empty() ? "cancelled before it was started" : reason;
  end_here(std::move(turn), AttemptState::kCancelled, why, OutcomeKind::kCancelled);
}

void Endings::refuse(Turn turn, const std::string& why, OutcomeKind kind) {
  end_here(std::move(turn), AttemptState::kRefused, why, kind);
}

void Endings::interrupt(Turn turn, const std::string& why) {
  end_here(std::move(turn), AttemptState::kInterrupted, why, OutcomeKind::kUnknown);
}

void Endings::lose(const std::string& id, Duration silent) {
  core_.book.take(id, [this, silent](Turn turn) {
    Attempt* attempt = turn.attempt();
    if (attempt == nullptr || attempt->ended() || !attempt->unknown) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silent);
    const std::string why = fmt::format("agent {} has not been heard of for {}; the outcome is unknown",
                                        attempt->row.key.agent, format_duration(seconds));
    // Should the disk refuse it.
    attempt->timer =
        core_.after(kDiskPause, [this, lost = attempt->row.id, silent] { lose(lost, silent + kDiskPause); });
    end_here(std::move(turn), AttemptState::kLost, why, OutcomeKind::kUnknown);
  });
}

void Endings::end_here(Turn turn, AttemptState state, const std::string& why, OutcomeKind kind) {
  const std::uint64_t spool_end = turn.attempt()->spool_durable;
  end(std::move(turn), state, why, outcome_of(kind, why), spool_end, [this](Result<void> committed) {
    if (!committed) core_.say(committed.error().message);
  });
}

void Endings::end(Turn turn, AttemptState state, std::string why, std::string outcome,
                  std::uint64_t spool_end, UniqueFunction<void(Result<void>)> then) {
  AttemptRow row = turn.attempt()->row;
  row.state = state;
  row.detail = std::move(why);
  row.outcome = std::move(outcome);
  row.spool_end = spool_end;
  row.ended_at_ms = std::max<std::int64_t>(core_.clock.wall_ms(), 1);
  core_.store->update(
      row, [this, turn = std::move(turn), row, then = std::move(then)](Result<void> kept) mutable {
        if (!kept) return then(std::move(kept));
        Attempt& attempt = *turn.attempt();
        core_.cancel(attempt.timer);
        attempt.row = std::move(row);
        attempt.unknown = false;
        core_.registry.annotate(attempt);
        core_.say(fmt::format("attempt {} ({}) on {}: {}", attempt.row.id, attempt.row.key.task,
                              attempt.row.key.agent, attempt_state_name(attempt.row.state)));
        then(Result<void>());
        attempt.tell_watchers();
      });
}

}  // namespace sloth
