#include "agent/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/agent_session.h"
#include "agent/master_core.h"
#include "runner/base/duration.h"
#include "runner/base/nearest.h"

namespace sloth {
namespace {

// Whole seconds: nobody reads more, and the text must not be another one each time.
std::string seconds(std::int64_t ms) {
  return format_duration(std::chrono::seconds(std::max<std::int64_t>(ms, 0) / 1000));
}

}  // namespace

void Registry::put(AgentRow row) {
  KnownAgent& known = agents_[row.name];
  known.row = std::move(row);
  known.registered = true;
}

void Registry::close() {
  for (auto& [name, known] : agents_) known.session = nullptr;
}

KnownAgent& Registry::agent(const std::string& name) {
  KnownAgent& known = agents_[name];
  known.row.name = name;
  return known;
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> all;
  for (const auto& [name, known] : agents_) all.push_back(name);
  return all;
}

KnownAgent* Registry::find(const std::string& name) {
  const auto found = agents_.find(name);
  return found == agents_.end() ? nullptr : &found->second;
}

bool Registry::join(const std::shared_ptr<AgentSession>& session, const AgentHello& hello) {
  KnownAgent& known = agent(hello.name);
  const bool same = !known.registered || known.row.key == hello.key;
  if (known.session && !same) {
    core_.say(fmt::format("agent {} from {} (pid {}) refused: another one of that name is connected",
                          hello.name, hello.host, hello.pid));
    session->reject(
        fmt::format("an agent named {} with another key is connected from {} (pid {}); stop it, or give "
                    "this one another name",
                    hello.name, known.row.host, known.row.pid),
        true);
    return false;
  }
  if (!same && has_started(hello.name)) {
    session->reject(
        fmt::format("the agent named {} had another key and has attempts that have not ended; start it "
                    "again from its own directory, or wait until they are lost",
                    hello.name),
        false);
    return false;
  }
  if (known.session) std::exchange(known.session, nullptr)->drop();
  known.session = session;
  known.registered = true;
  known.draining = hello.draining;
  known.unanswered.clear();
  known.pause = Duration::zero();
  known.not_before = TimePoint{};
  core_.cancel(known.retry);
  known.row = {hello.name, hello.key,          hello.version,        hello.host,
               hello.pid,  hello.max_attempts, core_.clock.wall_ms()};
  return true;
}

void Registry::leave(AgentSession& session) {
  KnownAgent* known = find(session.name());
  if (known == nullptr || known->session.get() != &session) return;
  known->session = nullptr;
  known->unanswered.clear();
  known->running = 0;
  core_.cancel(known->retry);
  known->row.last_seen_ms = core_.clock.wall_ms();
  core_.store->put_agent(known->row, [this](Result<void> kept) {
    if (!kept) core_.say(kept.error().message);
  });
  core_.say(fmt::format("agent {} left", session.name()));
  core_.leases.watch(*known);
  annotate_all(session.name());
}

void Registry::send(const std::string& name, Message message) {
  KnownAgent* known = find(name);
  if (known != nullptr && known->session) known->session->send(std::move(message));
}

Agents Registry::list() const {
  Agents all;
  for (const auto& [name, known] : agents_) {
    if (!known.registered) continue;
    AgentInfo info;
    info.name = name;
    info.version = known.row.version;
    info.host = known.row.host;
    info.pid = known.row.pid;
    info.connected = known.session != nullptr;
    info.draining = known.draining;
    info.max_attempts = known.row.max_attempts;
    info.last_seen_ms = info.connected ? core_.clock.wall_ms() : known.row.last_seen_ms;
    for (const std::string& id : core_.book.live_of(name)) {
      const Attempt* attempt = core_.book.find(id);
      if (attempt == nullptr || attempt->ended()) continue;
      if (attempt->row.state == AttemptState::kRunning) {
        ++info.running;
      } else {
        ++info.queued;
      }
    }
    all.agents.push_back(std::move(info));
  }
  return all;
}

void Registry::command(const AgentCommand& command, UniqueFunction<void(std::string)> done) {
  switch (command.kind) {
    case AgentCommand::Kind::kDrain: return done(drain(command.name));
    case AgentCommand::Kind::kRemove: return remove(command.name, std::move(done));
  }
}

std::string Registry::drain(const std::string& name) {
  KnownAgent* known = find(name);
  if (known == nullptr || !known->registered) return no_such(name);
  if (!known->session) return fmt::format("agent {} is {}", name, trouble(name));
  known->draining = true;
  known->session->send(DrainAgent{});
  annotate_all(name);
  return "";
}

void Registry::remove(const std::string& name, UniqueFunction<void(std::string)> done) {
  KnownAgent* known = find(name);
  if (known == nullptr || !known->registered) return done(no_such(name));
  if (known->session)
    return done(fmt::format("agent {} is connected from {}; stop it first", name, known->row.host));
  if (has_started(name)) return done(fmt::format("agent {} has attempts that have not ended", name));
  known->registered = false;
  known->row = AgentRow{};
  known->row.name = name;
  core_.store->remove_agent(name, [this, name, done = std::move(done)](Result<void> removed) mutable {
    core_.say(removed ? fmt::format("agent {} removed", name) : removed.error().message);
    done(removed ? std::string() : removed.error().message);
  });
}

std::string Registry::no_such(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& [other, known] : agents_) {
    if (known.registered) names.push_back(other);
  }
  return fmt::format("no agent is named {}{}", name, did_you_mean(name, names));
}

bool Registry::has_started(const std::string& name) const {
  const std::vector<std::string> ids = core_.book.live_of(name);
  return std::any_of(ids.begin(), ids.end(), [&](const std::string& id) {
    const Attempt* attempt = core_.book.find(id);
    return attempt != nullptr && !attempt->ended() && attempt->row.state != AttemptState::kQueued;
  });
}

std::string Registry::trouble(const std::string& name) const {
  const auto found = agents_.find(name);
  if (found == agents_.end() || !found->second.registered) return "not known here";
  const KnownAgent& known = found->second;
  if (known.session) return known.draining ? "draining" : "";
  return fmt::format("offline (last seen {} ago)", seconds(core_.clock.wall_ms() - known.row.last_seen_ms));
}

void Registry::annotate(Attempt& attempt) {
  const AttemptRow& row = attempt.row;
  const std::string problem = trouble(row.key.agent);
  const std::string about = problem.empty() ? "" : fmt::format("agent {} is {}", row.key.agent, problem);
  if (attempt.ended()) {
    attempt.note = row.detail;
  } else if (row.cancel) {
    attempt.note = about.empty() ? "cancelling" : fmt::format("cancelling: {}", about);
  } else if (attempt.unknown || row.state != AttemptState::kQueued) {
    attempt.note = attempt.unknown ? about : "";
  } else {
    attempt.note = about.empty() ? row.detail : about;
  }
}

void Registry::annotate_all(const std::string& name) {
  for (const std::string& id : core_.book.live_of(name)) {
    Attempt* attempt = core_.book.find(id);
    if (attempt == nullptr) continue;
    annotate(*attempt);
    attempt->tell_watchers();
  }
}

}  // namespace sloth
