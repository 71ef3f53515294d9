#include "agent/leases.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/agent_session.h"
#include "agent/master_core.h"
#include "runner/base/duration.h"

namespace sloth {
namespace {

bool may_run(const Attempt& attempt) {
  return !attempt.ended() && attempt.row.state != AttemptState::kQueued;
}

}  // namespace

void Leases::begin() { reconciled_ = core_.clock.now() + core_.options.reconcile; }

void Leases::heard(KnownAgent& agent) {
  agent.heard = core_.clock.now();
  if (std::exchange(agent.silent, false)) {
    for (const std::string& id : core_.book.live_of(agent.row.name)) {
      Attempt* attempt = core_.book.find(id);
      if (attempt == nullptr || !attempt->unknown) continue;
      attempt->unknown = false;
      core_.cancel(attempt->timer);
      core_.registry.annotate(*attempt);
      attempt->tell_watchers();
    }
  }
  watch(agent);
}

void Leases::watch(KnownAgent& agent) {
  if (agent.lease != 0 || agent.silent) return;
  agent.lease = core_.at(agent.heard + core_.options.lease, [this, name = agent.row.name] { look(name); });
}

void Leases::look(const std::string& name) {
  KnownAgent& agent = core_.registry.agent(name);
  agent.lease = 0;
  const TimePoint now = core_.clock.now();
  const TimePoint due = agent.heard + core_.options.lease;
  if (now < due) return watch(agent);
  if (now > due + core_.options.lease / 2) {
    // We were late ourselves: its messages may be waiting for us.
    agent.heard = now - core_.options.lease / 2;
    return watch(agent);
  }
  silence(agent);
}

void Leases::silence(KnownAgent& agent) {
  agent.silent = true;
  if (agent.session) {
    core_.say(
        fmt::format("agent {} has been silent for {}", agent.row.name, format_duration(core_.options.lease)));
    // A link like that rarely comes back; the agent dials again when it can.
    const auto session = agent.session;
    session->drop();
  }
  for (const std::string& id : core_.book.live_of(agent.row.name)) {
    Attempt* attempt = core_.book.find(id);
    if (attempt != nullptr) follow(*attempt);
  }
}

void Leases::follow(Attempt& attempt) {
  KnownAgent& agent = core_.registry.agent(attempt.row.key.agent);
  if (!may_run(attempt)) return;
  if (agent.silent) {
    doubt(attempt);
  } else {
    watch(agent);
  }
}

void Leases::doubt(Attempt& attempt) {
  if (attempt.unknown) return;
  attempt.unknown = true;
  core_.cancel(attempt.timer);
  const TimePoint due =
      std::max(core_.clock.now() + std::chrono::milliseconds(attempt.row.lost_ms), reconciled_);
  attempt.timer = core_.at(due, [this, id = attempt.row.id, due] { give_up(id, due); });
  core_.registry.annotate(attempt);
  attempt.tell_watchers();
}

void Leases::give_up(const std::string& id, TimePoint due) {
  Attempt* attempt = core_.book.find(id);
  if (attempt == nullptr || !attempt->unknown) return;
  attempt->timer = 0;
  const TimePoint now = core_.clock.now();
  if (now > due + core_.options.lease / 2) {
    const TimePoint again = now + core_.options.lease / 2;
    attempt->timer = core_.at(again, [this, id, again] { give_up(id, again); });
    return;
  }
  core_.endings.lose(id, now - core_.registry.agent(attempt->row.key.agent).heard);
}

}  // namespace sloth
