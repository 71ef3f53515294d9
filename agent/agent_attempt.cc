#include "agent/agent_attempt.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/attempt_search.h"
#include "agent/bundle.h"
#include "agent/crash_point.h"
#include "runner/base/check.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

// How much longer than an attempt's own time this agent waits before it ends the attempt itself.
constexpr Duration kOvertime = std::chrono::seconds(15);

Outcome outcome_of(OutcomeKind kind, std::string message) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = std::move(message);
  outcome.attempts = 1;
  return outcome;
}

OutcomeKind kind_of(AttemptState state) {
  switch (state) {
    case AttemptState::kSucceeded: return OutcomeKind::kSucceeded;
    case AttemptState::kTimedOut: return OutcomeKind::kTimedOut;
    case AttemptState::kCancelled: return OutcomeKind::kCancelled;
    case AttemptState::kInterrupted: return OutcomeKind::kUnknown;
    default: return OutcomeKind::kFailed;
  }
}

// Since the process was started, sleep of the machine included.
Duration age_of(const ProcessName& process) {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const Duration up = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return std::max(Duration(0), up - std::chrono::milliseconds(process.start * 1000 / ticks));
}

}  // namespace

AgentAttempt::AgentAttempt(AttemptServices& services, JournalRow row)
    : services_(services), row_(std::move(row)) {
  // Not before shared_from_this works: the ports are called later only.
  sender_ = std::make_shared<SpoolSender>(
      services_.errands, row_.id, services_.workspaces.files(row_.id).spool(), row_.acked, row_.anchor,
      SpoolSender::Ports{
          .send = [this](SpoolPart part) { return send_part(std::move(part)); },
          .keep =
              [this](std::uint64_t acked, std::uint64_t anchor, UniqueFunction<void(bool)> kept) {
                services_.journal.acknowledged(
                    row_.id, acked, anchor,
                    [kept = std::move(kept)](const Result<void>& done) mutable { kept(done.ok()); });
              },
          .all_sent = [this] { send_result(); },
          .note = services_.note});
}

std::string AgentAttempt::title() const {
  return fmt::format("attempt {} ({})", row_.id.substr(0, 8), row_.key.task);
}

// ---- from the offer to the process
// -----------------------------------------------------------------------------------

void AgentAttempt::accept(bool with_place) {
  place_ = with_place;
  row_.state = with_place ? AttemptState::kRunning : AttemptState::kAccepted;
  services_.journal.accept(row_, [weak = weak_from_this()](const Result<Journal::Acceptance>& acceptance) {
    if (const auto self = weak.lock()) self->on_accepted(acceptance);
  });
}

void AgentAttempt::on_accepted(const Result<Journal::Acceptance>& acceptance) {
  using Verdict = Journal::Acceptance::Verdict;
  if (!acceptance && Journal::is_full(acceptance.error())) {
    turn_away(fmt::format("no space on {}", services_.workspaces.directory()), true);
  } else if (!acceptance) {
    // No answer: whether it is in the journal, nobody knows. The link ends, and the offer comes again.
    services_.trouble(acceptance.error());
    turn_away("", true);
  } else if (acceptance->verdict == Verdict::kSuperseded) {
    turn_away(fmt::format("superseded by attempt {}", acceptance->newest), false);
  } else if (acceptance->verdict == Verdict::kEndedBefore) {
    // The master had acknowledged it, and has forgotten that: it gets the end once more, not a second start.
    services_.send(OfferAnswer{row_.id, acceptance->ended, "", false});
    services_.send(old_end(row_.id, acceptance->ended));
    turn_away("", false);
  } else {
    go_on_accepted();
  }
}

void AgentAttempt::go_on_accepted() {
  if (!place_) crash_point("accepted_committed");
  phase_ = place_ ? Phase::kStarting : Phase::kWaiting;
  services_.send(OfferAnswer{row_.id, AttemptState::kAccepted, "", false});
  services_.settled(*this);
  if (phase_ == Phase::kStarting) {
    launch();
  } else if (cancelled_) {
    cancel(*cancelled_);
  } else {
    services_.waiting(*this);
  }
}

AttemptResult AgentAttempt::plain_end(const std::string& id, AttemptState state, std::string message) {
  return {id, state, encode_outcome(outcome_of(kind_of(state), std::move(message))), 0};
}

AttemptResult AgentAttempt::old_end(const std::string& id, AttemptState state) {
  return plain_end(
      id, state,
      fmt::format("it ended here before, as {}; what it said then was acknowledged and is not kept",
                  attempt_state_name(state)));
}

void AgentAttempt::turn_away(std::string reason, bool may_retry) {
  phase_ = Phase::kHome;
  if (!reason.empty())
    services_.send(OfferAnswer{row_.id, AttemptState::kRefused, std::move(reason), may_retry});
  services_.settled(*this);
  free_place();
  services_.errands.run(
      weak_from_this(),
      [workspaces = services_.workspaces, id = row_.id] {
        workspaces.remove(id, false);
        return true;
      },
      [this](bool) { services_.gone(row_.id); });
}

void AgentAttempt::start() {
  SLOTH_CHECK(phase_ == Phase::kWaiting);
  phase_ = Phase::kStarting;
  place_ = true;
  services_.journal.started(row_.id, [weak = weak_from_this()](const Result<void>& committed) {
    const auto self = weak.lock();
    if (!self) return;
    if (committed) {
      self->row_.state = AttemptState::kRunning;
      self->launch();
      return;
    }
    if (!Journal::is_full(committed.error())) self->services_.trouble(committed.error());
    self->try_later();
  });
}

AttemptPlan AgentAttempt::plan() const {
  return {.id = row_.id,
          .files = services_.workspaces.files(row_.id),
          .content = services_.workspaces.content(),
          .workspace = row_.workspace,
          .account = row_.account,
          .limits = services_.limits,
          .timeout = row_.timeout};
}

AttemptEvents AgentAttempt::events() {
  const std::weak_ptr<AgentAttempt> weak = weak_from_this();
  const Strand strand = services_.errands.strand();
  return {.on_output =
              [weak] {
                if (const auto self = weak.lock()) self->sender_->grew();
              },
          .on_end =
              [weak, strand](AttemptState state, Outcome outcome) {
                // Not from inside the process's own call: it is destroyed there.
                strand.post([weak, state, outcome = std::move(outcome)]() mutable {
                  if (const auto self = weak.lock()) self->on_end(state, std::move(outcome));
                });
              }};
}

void AgentAttempt::launch() {
  if (cancelled_) {
    finish(AttemptState::kCancelled, outcome_of(OutcomeKind::kCancelled, *cancelled_));
    return;
  }
  crash_point("started_committed");
  auto process = services_.host.start(plan(), services_.errands.strand(), events());
  if (process) {
    on_launched(std::move(*process));
  } else {
    on_not_launched(process.error());
  }
}

void AgentAttempt::on_launched(std::unique_ptr<AttemptProcess> process) {
  crash_point("process_started");
  process_ = std::move(process);
  phase_ = Phase::kRunning;
  tries_ = 0;
  row_.process = process_->name();
  // Nothing waits for it: should it be lost, the process is found by its environment.
  services_.journal.named(row_.id, row_.process, [](const Result<void>&) {});
  services_.send(AttemptStarted{row_.id});
  services_.note(fmt::format("{} started", title()));
  watch_time(Duration(0));
  begin_sending();
}

void AgentAttempt::on_not_launched(const Error& error) {
  if (error.code != Code::kLimit || tries_ >= kStartTries) {
    finish(AttemptState::kFailed, outcome_of(OutcomeKind::kFailed, error.message));
    return;
  }
  // Nothing exists, so nothing has started: before the next try its row says so.
  services_.journal.back(row_.id, [](const Result<void>&) {});
  row_.state = AttemptState::kAccepted;
  try_later();
}

void AgentAttempt::try_later() {
  phase_ = Phase::kWaiting;
  if (cancelled_) {
    cancel(*cancelled_);
    return;
  }
  free_place();
  services_.errands.after(next_delay(std::chrono::milliseconds(100), std::chrono::seconds(5)),
                          weak_from_this(), [this] {
                            if (phase_ == Phase::kWaiting) services_.waiting(*this);
                          });
}

void AgentAttempt::watch_time(Duration ran) {
  const Duration most = row_.timeout.value_or(services_.limits.wall) + kOvertime;
  services_.errands.after(std::max(Duration(0), most - ran), weak_from_this(), [this] {
    if (phase_ != Phase::kRunning || process_ == nullptr) return;
    overtime_ = true;
    process_->cancel("its time was over, and it had not ended by itself");
  });
}

// ---- after a restart of the agent
// ------------------------------------------------------------------------------------

void AgentAttempt::recover() {
  recovered_ = true;
  if (row_.state == AttemptState::kAccepted) {
    phase_ = Phase::kWaiting;
    services_.waiting(*this);
    return;
  }
  if (row_.state != AttemptState::kRunning) {
    phase_ = Phase::kEnded;
    sender_->set_end(row_.spool_end);
    return;
  }
  phase_ = Phase::kRunning;
  place_ = true;
  if (row_.process.pid > 0) {
    adopt(row_.process);
    return;
  }
  services_.errands.run(
      weak_from_this(), [id = row_.id] { return find_attempt(id).value_or(ProcessName()); },
      [this](ProcessName name) {
        if (name.pid > 0) services_.journal.named(row_.id, name, [](const Result<void>&) {});
        adopt(std::move(name));
      });
}

void AgentAttempt::adopt(ProcessName name) {
  row_.process = std::move(name);
  process_ = services_.host.adopt(plan(), row_.process, services_.errands.strand(), events());
  watch_time(row_.process.pid > 0 ? age_of(row_.process) : Duration(0));
  if (cancelled_ && process_ != nullptr) process_->cancel(*cancelled_);
}

// ---- its end
// ---------------------------------------------------------------------------------------------------------

void AgentAttempt::cancel(const std::string& reason) {
  switch (phase_) {
    case Phase::kAccepting:
    case Phase::kStarting: cancelled_ = reason; return;
    case Phase::kWaiting:
      finish(AttemptState::kCancelled, outcome_of(OutcomeKind::kCancelled, reason));
      return;
    case Phase::kRunning:
      cancelled_ = reason;
      if (process_ != nullptr) process_->cancel(reason);
      return;
    case Phase::kEnded: send_result_again(); return;
    case Phase::kEnding:
    case Phase::kHome: return;
  }
}

void AgentAttempt::on_end(AttemptState state, Outcome outcome) {
  if (phase_ != Phase::kRunning) return;
  process_.reset();
  if (overtime_ && state == AttemptState::kCancelled) {
    state = AttemptState::kTimedOut;
    outcome.kind = OutcomeKind::kTimedOut;
  }
  finish(state, std::move(outcome));
}

void AgentAttempt::finish(AttemptState state, Outcome outcome) {
  phase_ = Phase::kEnding;
  tries_ = 0;
  crash_point("result_seen");
  free_place();
  struct Left {
    SpoolEnd spool;
    bool workspace = false;
  };
  services_.errands.run(
      weak_from_this(),
      [spool = services_.workspaces.files(row_.id).spool(), anchor = sender_->begin_end(),
       workspace = row_.workspace] {
        return Left{measure_spool(spool, anchor), exists(workspace)};
      },
      [this, state, outcome = std::move(outcome)](const Left& left) mutable {
        conclude(state, std::move(outcome), left.spool, left.workspace);
      });
}

void AgentAttempt::conclude(AttemptState state, Outcome outcome, const SpoolEnd& spool, bool has_workspace) {
  if (spool.sound < spool.size) {
    const std::string damage = fmt::format("its output is damaged from byte {} on", spool.sound);
    if (recovered_) {
      outcome = outcome_of(OutcomeKind::kUnknown,
                           fmt::format("{}; its process had said: {}{}{}", damage, attempt_state_name(state),
                                       outcome.message.empty() ? "" : ", ", outcome.message));
      state = AttemptState::kInterrupted;
    } else {
      outcome.warnings.push_back(damage);
    }
  }
  if (has_workspace && state != AttemptState::kSucceeded) {
    outcome.warnings.push_back(fmt::format("its workspace is kept: {}", row_.workspace));
  }
  JournalRow ended = row_;
  ended.state = state;
  ended.outcome = encode_outcome(outcome);
  ended.spool_end = spool.sound;
  ended.ended_ms = services_.clock.wall_ms();
  commit_end(std::move(ended));
}

void AgentAttempt::commit_end(JournalRow ended) {
  auto kept = std::make_shared<JournalRow>(std::move(ended));
  services_.journal.ended(*kept, [weak = weak_from_this(), kept](const Result<void>& committed) {
    const auto self = weak.lock();
    if (!self) return;
    if (!committed) {
      // Its outcome is in its result file as well; here it waits until the journal takes it.
      self->services_.note(
          fmt::format("{}: its end is not in the journal yet: {}", self->title(), committed.error().message));
      if (Journal::is_full(committed.error())) {
        self->services_.errands.run(
            weak,
            [workspaces = self->services_.workspaces] {
              workspaces.give_up_reserve();
              return true;
            },
            [](bool) {});
      } else {
        self->services_.trouble(committed.error());
      }
      self->services_.errands.after(
          self->next_delay(std::chrono::milliseconds(500), std::chrono::seconds(30)), weak,
          [raw = self.get(), kept] { raw->commit_end(std::move(*kept)); });
      return;
    }
    crash_point("result_committed");
    self->row_ = std::move(*kept);
    self->phase_ = Phase::kEnded;
    self->services_.note(fmt::format("{} {}", self->title(), attempt_state_name(self->row_.state)));
    self->sender_->set_end(self->row_.spool_end);
    self->begin_sending();
    self->services_.ended();
  });
}

// ---- to the master
// ---------------------------------------------------------------------------------------------------

void AgentAttempt::link_up() {
  linked_ = true;
  result_sent_ = false;
  if (phase_ >= Phase::kRunning && phase_ <= Phase::kEnded) begin_sending();
}

void AgentAttempt::link_down() {
  linked_ = sending_ = false;
  sender_->pause();
}

void AgentAttempt::begin_sending() {
  if (linked_ && !std::exchange(sending_, true)) sender_->resume();
}

void AgentAttempt::answer_again() {
  // Its answer is on the way.
  if (phase_ == Phase::kAccepting || phase_ == Phase::kHome) return;
  services_.send(OfferAnswer{row_.id, row_.state, "", false});
  if (phase_ == Phase::kEnded) send_result_again();
}

void AgentAttempt::send_result_again() {
  result_sent_ = false;
  sender_->grew();
}

bool AgentAttempt::send_part(SpoolPart part) {
  if (services_.has_room()) {
    services_.send(std::move(part));
    return true;
  }
  if (!std::exchange(retry_later_, true)) {
    services_.errands.after(std::chrono::milliseconds(20), weak_from_this(), [this] {
      retry_later_ = false;
      sender_->grew();
    });
  }
  return false;
}

void AgentAttempt::send_result() {
  if (phase_ != Phase::kEnded || std::exchange(result_sent_, true)) return;
  services_.send(AttemptResult{row_.id, row_.state, row_.outcome, row_.spool_end});
}

void AgentAttempt::on_result_ack() {
  if (phase_ != Phase::kEnded) return;
  phase_ = Phase::kHome;
  services_.errands.run(
      weak_from_this(), [workspace = row_.workspace] { return exists(workspace); },
      [this](bool has_workspace) { go_home(has_workspace); });
}

void AgentAttempt::go_home(bool has_workspace) {
  const bool keep = has_workspace && row_.state != AttemptState::kSucceeded;
  services_.journal.home(row_, keep,
                         [weak = weak_from_this(), keep](Result<std::vector<std::string>> surplus) {
                           const auto self = weak.lock();
                           if (!self) return;
                           if (!surplus) {
                             self->phase_ = Phase::kEnded;
                             if (!Journal::is_full(surplus.error())) self->services_.trouble(surplus.error());
                             self->services_.errands.after(
                                 self->next_delay(std::chrono::milliseconds(500), std::chrono::seconds(30)),
                                 weak, [raw = self.get()] { raw->on_result_ack(); });
                             return;
                           }
                           self->services_.errands.run(
                               weak,
                               [workspaces = self->services_.workspaces, id = self->row_.id, keep,
                                surplus = std::move(*surplus)] {
                                 workspaces.remove(id, !keep);
                                 workspaces.make_reserve();
                                 for (const std::string& old : surplus) workspaces.remove(old, true);
                                 return true;
                               },
                               [raw = self.get()](bool) { raw->services_.gone(raw->row_.id); });
                         });
}

void AgentAttempt::free_place() {
  if (std::exchange(place_, false)) services_.place_freed();
}

Duration AgentAttempt::next_delay(Duration first, Duration most) {
  return std::min<Duration>(most, first * (1LL << std::clamp(tries_++, 0, 20)));
}

}  // namespace sloth
