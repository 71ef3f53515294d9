#include "agent/agent_core.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "runner/base/check.h"

namespace sloth {
namespace {

constexpr int kPerCore = 4;

int places_of(const AgentPolicy& policy) {
  if (policy.max_attempts > 0) return policy.max_attempts;
  return kPerCore * static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace

AgentCore::AgentCore(Agent::Options options, Agent::Services services)
    : options_(std::move(options)),
      services_(services),
      max_attempts_(places_of(options_.policy)),
      strand_(services.executor),
      errands_(strand_),
      workspaces_(options_.directory) {}

Result<void> AgentCore::open() {
  if (auto made = workspaces_.make(); !made) return made;
  auto lock = DirectoryLock::take(options_.directory, "lock", "agent");
  if (!lock) return lock.error();
  auto journal =
      Journal::open({options_.directory, options_.name, options_.journal_bytes}, strand_, services_.clock);
  if (!journal) return journal.error();
  lock_.emplace(std::move(*lock));
  journal_ = std::move(*journal);
  return {};
}

// ---- life
// ------------------------------------------------------------------------------------------------------------

void AgentCore::start() {
  SLOTH_CHECK(!link_ && journal_);
  attempt_services_.emplace(attempt_services());
  link_ = std::make_shared<AgentLink>(errands_, services_.clock, services_.dialer, options_.redial_first,
                                      options_.redial_most, link_ports());
  intake_ =
      std::make_shared<OfferIntake>(errands_, services_.clock, workspaces_, options_.policy, intake_ports());
  errands_.run(
      weak_from_this(),
      [rows = journal_->take_rows(), kept = journal_->take_kept(), workspaces = workspaces_]() mutable {
        std::set<std::string> known(kept.begin(), kept.end());
        std::vector<Found> all;
        for (JournalRow& row : rows) {
          known.insert(row.id);
          Found found{std::move(row), ""};
          if (found.row.state == AttemptState::kAccepted) {
            if (auto whole = OfferIntake::check_files(workspaces, found.row); !whole)
              found.problem = whole.error().message;
          }
          all.push_back(std::move(found));
        }
        workspaces.sweep(known);
        return all;
      },
      [this](std::vector<Found> all) { recover(std::move(all)); });
}

void AgentCore::recover(std::vector<Found> all) {
  if (!link_) return;
  for (Found& found : all) {
    const std::string id = found.row.id;
    if (!found.problem.empty()) {
      // It never started: forgotten here, it is offered again.
      note(fmt::format("attempt {} was accepted and cannot be started: {}", id, found.problem));
      journal_->drop(id, [](const Result<void>&) {});
      continue;
    }
    if (found.row.state == AttemptState::kRunning) ++places_taken_;
    auto attempt = std::make_shared<AgentAttempt>(*attempt_services_, std::move(found.row));
    attempts_[id] = attempt;
    attempt->recover();
  }
  link_->start();
  check_drained();
}

void AgentCore::shut_down() {
  if (link_) link_->stop();
  link_.reset();
  intake_.reset();
  attempts_.clear();
  drained_ = nullptr;
}

void AgentCore::close() {
  errands_.close();
  journal_.reset();
  lock_.reset();
}

AttemptServices AgentCore::attempt_services() {
  return {.errands = errands_,
          .journal = *journal_,
          .host = services_.attempts,
          .clock = services_.clock,
          .workspaces = workspaces_,
          .limits = options_.policy.limits,
          .send = [this](Message message) { link_->send(std::move(message)); },
          .has_room = [this] { return link_->has_room(); },
          .settled = [this](const AgentAttempt& attempt) { on_settled(attempt); },
          .waiting =
              [this](const AgentAttempt& attempt) {
                waiting_.push_back(attempt.row().id);
                give_places();
              },
          .place_freed =
              [this] {
                --places_taken_;
                give_places();
              },
          .ended = [this] { check_drained(); },
          .gone = [this](const std::string& id) { on_gone(id); },
          .trouble =
              [this](const Error& error) {
                note(error.message);
                link_->break_off("the journal cannot be written");
              },
          .note = [this](std::string text) { note(std::move(text)); }};
}

// ---- the link
// --------------------------------------------------------------------------------------------------------

AgentLink::Ports AgentCore::link_ports() {
  return {.hello = [this] { return hello(); },
          .heartbeat =
              [this] {
                return Heartbeat{draining_, places_taken_};
              },
          .up = [this] { on_up(); },
          .down = [this] { on_down(); },
          .received = [this](Message message) { on_message(std::move(message)); },
          .note = [this](std::string text) { note(std::move(text)); }};
}

std::optional<AgentHello> AgentCore::hello() const {
  // It lists all that was accepted: what is being committed just now is waited for.
  if (accepting_ > 0) return std::nullopt;
  AgentHello hello;
  hello.version = options_.version;
  hello.name = options_.name;
  hello.key = journal_->key();
  hello.host = options_.host;
  hello.pid = ::getpid();
  hello.max_attempts = max_attempts_;
  hello.draining = draining_;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt->phase() == AgentAttempt::Phase::kHome) continue;
    hello.attempts.push_back({id, attempt->row().digest, attempt->row().key, attempt->row().state});
  }
  return hello;
}

void AgentCore::on_up() {
  for (const auto& [id, attempt] : attempts_) attempt->link_up();
  give_places();
  check_drained();
}

void AgentCore::on_down() {
  intake_->clear();
  for (const auto& [id, attempt] : attempts_) attempt->link_down();
  check_drained();
}

void AgentCore::on_message(Message message) {
  std::visit([this](auto&& one) { on(std::forward<decltype(one)>(one)); }, std::move(message));
}

template <class Other>
void AgentCore::on(const Other& other) {
  note(fmt::format("the master sent a message that is not for agents: {}", message_name(other)));
}

void AgentCore::on(ContentPart part) { intake_->content(std::move(part)); }

void AgentCore::on(const SpoolAck& ack) {
  if (const auto attempt = attempts_.find(ack.attempt); attempt != attempts_.end())
    attempt->second->on_spool_ack(ack.offset);
}

void AgentCore::on(const ResultAck& ack) {
  if (const auto attempt = attempts_.find(ack.attempt); attempt != attempts_.end())
    attempt->second->on_result_ack();
}

void AgentCore::on(const CancelAttempt& cancel) {
  if (const auto attempt = attempts_.find(cancel.attempt); attempt != attempts_.end()) {
    const std::shared_ptr<AgentAttempt> keep = attempt->second;
    keep->cancel(cancel.reason);
    return;
  }
  intake_->withdraw(cancel.attempt);
  journal_->find_end(cancel.attempt, [weak = weak_from_this(), cancel](std::optional<AttemptState> end) {
    const auto self = weak.lock();
    if (!self || !self->link_) return;
    // Not accepted, so it never started; an offer of it on this link came before the cancel, or comes never.
    self->link_->send(end ? AgentAttempt::old_end(cancel.attempt, *end)
                          : AgentAttempt::plain_end(cancel.attempt, AttemptState::kCancelled, cancel.reason));
  });
}

void AgentCore::on(const DrainAgent&) {
  stop_taking("draining: the master asked for it");
  if (drain_asked) drain_asked();
}

// ---- offers
// ----------------------------------------------------------------------------------------------------------

OfferIntake::Ports AgentCore::intake_ports() {
  return {.ready = [this](JournalRow row) { admit(std::move(row)); },
          .refuse = [this](OfferAnswer answer) { link_->send(std::move(answer)); },
          .want = [this](ContentWanted wanted) { link_->send(std::move(wanted)); }};
}

void AgentCore::refuse(const std::string& attempt, std::string reason, bool may_retry) {
  link_->send(OfferAnswer{attempt, AttemptState::kRefused, std::move(reason), may_retry});
}

void AgentCore::on(Offer offer) {
  const auto known = attempts_.find(offer.attempt);
  const std::string* digest =
      known != attempts_.end() ? &known->second->row().digest : intake_->digest_of(offer.attempt);
  if (digest != nullptr && *digest != offer.digest) {
    refuse(offer.attempt, "another bundle with the same id", false);
    return;
  }
  if (known != attempts_.end()) {
    known->second->answer_again();
    return;
  }
  bool may_retry = false;
  if (std::string reason = objection(offer, may_retry); !reason.empty()) {
    refuse(offer.attempt, std::move(reason), may_retry);
    return;
  }
  intake_->take(std::move(offer));
}

std::string AgentCore::objection(const Offer& offer, bool& may_retry) const {
  if (offer.key.agent != options_.name) {
    return fmt::format("it is for the agent \"{}\", this is \"{}\"", offer.key.agent, options_.name);
  }
  if (offer.attempt != attempt_id(offer.key)) return "its id is not that of its run, task, agent and number";
  may_retry = true;
  if (draining_) return "draining";
  if (waiting_.size() + intake_->size() + static_cast<std::size_t>(accepting_) >= kMostWaiting) {
    return fmt::format("{} attempts wait here already", kMostWaiting);
  }
  return "";
}

void AgentCore::admit(JournalRow row) {
  const std::string id = row.id;
  if (draining_) {
    refuse(id, "draining", true);
    errands_.run(
        weak_from_this(),
        [workspaces = workspaces_, id] {
          workspaces.remove(id, false);
          return true;
        },
        [](bool) {});
    return;
  }
  const bool place = places_taken_ < max_attempts_ && waiting_.empty() && link_->lease_holds();
  if (place) ++places_taken_;
  ++accepting_;
  auto attempt = std::make_shared<AgentAttempt>(*attempt_services_, std::move(row));
  attempts_[id] = attempt;
  attempt->accept(place);
}

void AgentCore::on_settled(const AgentAttempt& settled) {
  --accepting_;
  if (settled.phase() != AgentAttempt::Phase::kHome) {
    if (link_->up()) attempts_.at(settled.row().id)->link_up();
    fence_off(settled.row().key);
  }
  link_->greet();
}

void AgentCore::fence_off(const AttemptKey& key) {
  // A higher number fences the lower ones off: whoever asked for it has given them up.
  std::vector<std::shared_ptr<AgentAttempt>> older;
  for (const auto& [id, attempt] : attempts_) {
    const AttemptKey& other = attempt->row().key;
    if (attempt->is_live() && other.number < key.number && other.run == key.run && other.task == key.task) {
      older.push_back(attempt);
    }
  }
  for (const auto& attempt : older) attempt->cancel(fmt::format("superseded by attempt {}", key.number));
}

void AgentCore::on_gone(const std::string& id) {
  attempts_.erase(id);
  check_drained();
}

void AgentCore::give_places() {
  // A master that may have given this agent up does not expect anything new to start.
  while (places_taken_ < max_attempts_ && !waiting_.empty() && link_->lease_holds()) {
    const auto attempt = attempts_.find(waiting_.front());
    waiting_.pop_front();
    if (attempt == attempts_.end() || attempt->second->phase() != AgentAttempt::Phase::kWaiting) continue;
    ++places_taken_;
    attempt->second->start();
  }
}

// ---- the end
// ---------------------------------------------------------------------------------------------------------

void AgentCore::cancel_all(const std::string& reason) {
  std::vector<std::shared_ptr<AgentAttempt>> live;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt->phase() < AgentAttempt::Phase::kEnding) live.push_back(attempt);
  }
  for (const auto& attempt : live) attempt->cancel(reason);
}

void AgentCore::stop_taking(const std::string& why) {
  if (std::exchange(draining_, true)) return;
  note(why);
  if (link_) link_->beat();
}

void AgentCore::drain(UniqueFunction<void()> done) {
  drained_ = std::move(done);
  stop_taking("draining: no new attempts are taken");
  check_drained();
}

void AgentCore::check_drained() {
  if (!drained_ || leaving_ || !link_) return;
  if (attempts_.empty()) {
    leave();
    return;
  }
  const bool quiet = std::all_of(attempts_.begin(), attempts_.end(), [](const auto& one) {
    const AgentAttempt::Phase phase = one.second->phase();
    return phase == AgentAttempt::Phase::kWaiting || phase == AgentAttempt::Phase::kEnded;
  });
  if (!quiet || link_->up()) {
    alone_since_.reset();
    return;
  }
  const TimePoint now = std::chrono::steady_clock::now();
  if (!alone_since_) {
    alone_since_ = now;
    errands_.after(options_.drain_alone, weak_from_this(), [this] { check_drained(); });
  } else if (now - *alone_since_ >= options_.drain_alone) {
    leave();
  }
}

void AgentCore::leave() {
  leaving_ = true;
  // A job of its own: it may be the end of this agent.
  link_->leave([strand = strand_, done = std::move(drained_)]() mutable { strand.post(std::move(done)); });
}

}  // namespace sloth
