#include "agent/remote_task_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stop_token>

#include "agent/bundle.h"

namespace sloth {
namespace {

// How much an outcome weighs among those of several targets: the one that says most about the task comes
// first.
int weight(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kUnknown: return 6;
    case OutcomeKind::kFailed: return 5;
    case OutcomeKind::kTimedOut: return 4;
    case OutcomeKind::kRefused: return 3;
    case OutcomeKind::kUnreachable: return 2;
    case OutcomeKind::kCancelled: return 1;
    default: return 0;
  }
}

// What the end of the attempt means for the task.
Outcome outcome_of(AttemptState state, Outcome outcome) {
  switch (state) {
    case AttemptState::kInterrupted:
    case AttemptState::kLost: outcome.kind = OutcomeKind::kUnknown; break;
    case AttemptState::kRefused:
      if (outcome.kind != OutcomeKind::kUnreachable) outcome.kind = OutcomeKind::kRefused;
      break;
    default: break;
  }
  return outcome;
}

}  // namespace

// One start(): the attempts on its targets, until the last has ended.
class RemoteTaskRunner::FanOut {
 public:
  FanOut(TaskRequest asked, EventSink& to, UniqueFunction<void(Outcome)> then)
      : request(std::move(asked)), sink(to), done(std::move(then)), agents(request.spec->delegate_to) {}

  const TaskRequest request;
  EventSink& sink;
  UniqueFunction<void(Outcome)> done;
  const std::vector<std::string> agents;
  std::optional<std::stop_callback<UniqueFunction<void()>>> on_stop;

  Mutex mutex;
  std::vector<std::string> ids GUARDED_BY(mutex);
  std::map<std::string, Outcome> outcomes GUARDED_BY(mutex);  // by agent
  std::size_t missing GUARDED_BY(mutex) = 0;

  // All have ended.
  Outcome merged() {
    MutexLock lock(mutex);
    if (agents.size() == 1) return std::move(outcomes.begin()->second);
    Outcome whole;
    Value::Map outputs;
    std::string failures;
    std::size_t failed = 0;
    whole.changed = false;
    for (const std::string& agent : agents) {
      Outcome& one = outcomes[agent];
      if (weight(one.kind) > weight(whole.kind)) {
        whole.kind = one.kind;
        whole.place = one.place;
        whole.traceback = one.traceback;
      }
      if (!one.succeeded()) {
        ++failed;
        failures +=
            fmt::format("\n  {}: {}", agent, one.message.empty() ? outcome_name(one.kind) : one.message);
      }
      whole.changed = whole.changed || one.changed;
      for (const std::string& warning : one.warnings) whole.warnings.push_back(agent + ": " + warning);
      outputs.insert_or_assign(agent, one.outputs);
      whole.targets.push_back({agent, one.kind, one.message, one.elapsed});
    }
    whole.outputs = std::move(outputs);
    if (failed > 0) whole.message = fmt::format("{} of {} agents:{}", failed, agents.size(), failures);
    return whole;
  }
};

RemoteTaskRunner::RemoteTaskRunner(RunClient& client, const Clock& clock, RunClient::Waits waits)
    : client_(client), clock_(clock), waits_(waits) {}
RemoteTaskRunner::~RemoteTaskRunner() = default;

void RemoteTaskRunner::start(TaskRequest request, EventSink& sink, std::stop_token stop,
                             UniqueFunction<void(Outcome)> done) {
  auto fan_out = std::make_shared<FanOut>(std::move(request), sink, std::move(done));
  SLOTH_CHECK(!fan_out->agents.empty());
  std::vector<std::size_t> to_start;
  {
    MutexLock lock(mutex_);
    MutexLock own(fan_out->mutex);
    const auto before = ended_.find(fan_out->request.spec->name);
    for (std::size_t i = 0; i < fan_out->agents.size(); ++i) {
      const std::string& agent = fan_out->agents[i];
      if (fan_out->request.attempt > 1 && before != ended_.end() && before->second[agent].succeeded()) {
        fan_out->outcomes[agent] = before->second[agent];
      } else {
        to_start.push_back(i);
      }
      const AttemptKey key{fan_out->request.run, fan_out->request.spec->name, agent,
                           fan_out->request.attempt};
      fan_out->ids.push_back(attempt_id(key));
    }
    fan_out->missing = to_start.size();
    for (const std::size_t i : to_start) live_[fan_out->ids[i]] = fan_out->request.spec->name;
  }
  for (const std::size_t i : to_start) launch(fan_out, i);
  // Holds no reference to what holds it; it ends with the last attempt.
  fan_out->on_stop.emplace(std::move(stop), [this, weak = std::weak_ptr(fan_out)] {
    const auto fan = weak.lock();
    if (fan == nullptr) return;
    std::vector<std::string> ids;
    {
      MutexLock lock(fan->mutex);
      ids = fan->ids;
    }
    for (std::string& id : ids) client_.cancel(std::move(id), "cancelled");
  });
}

void RemoteTaskRunner::resume(const std::vector<AttemptSummary>& attempts) {
  MutexLock lock(mutex_);
  for (const AttemptSummary& attempt : attempts) {
    submitted_.insert(attempt.attempt);
    if (attempt.state == AttemptState::kSucceeded) {
      succeeded_[{attempt.key.task, attempt.key.agent}] = attempt.attempt;
    }
  }
}

std::string RemoteTaskRunner::to_follow(const std::string& id, const std::string& task,
                                        const std::string& agent) {
  MutexLock lock(mutex_);
  const auto succeeded = succeeded_.find({task, agent});
  if (succeeded != succeeded_.end()) return succeeded->second;
  return submitted_.count(id) > 0 ? id : "";
}

void RemoteTaskRunner::launch(const std::shared_ptr<FanOut>& fan_out, std::size_t index) {
  const TaskRequest& request = fan_out->request;
  const std::string agent = fan_out->agents[index];
  AttemptKey key{request.run, request.spec->name, agent, request.attempt};
  const std::string id = attempt_id(key);
  const auto event = [this, fan_out, agent](decltype(Event::body) body) {
    const TaskRequest& asked = fan_out->request;
    fan_out->sink.on_event(Event{clock_.wall_ms(), asked.run, asked.spec->name, agent, asked.attempt,
                                 std::move(body), fan_out->agents.size() > 1});
  };
  RunClient::Follower follower;
  follower.on_event = event;
  follower.on_status = [event, last = std::string()](AttemptState state, const std::string& detail) mutable {
    // What a person waits for and would not see otherwise, once.
    std::string text;
    if (state == AttemptState::kQueued || state == AttemptState::kUnknown) text = detail;
    if (!text.empty() && text != last) event(TaskLog{Severity::kWarn, text});
    last = text;
  };
  follower.on_end = [this, fan_out, agent, id](AttemptState state, Outcome outcome) {
    outcome = outcome_of(state, std::move(outcome));
    outcome.agent = agent;
    bool last = false;
    {
      MutexLock lock(mutex_);
      live_.erase(id);
      if (fan_out->agents.size() > 1) ended_[fan_out->request.spec->name][agent] = outcome;
    }
    {
      MutexLock lock(fan_out->mutex);
      fan_out->outcomes[agent] = std::move(outcome);
      last = --fan_out->missing == 0;
    }
    if (last) fan_out->done(fan_out->merged());
  };
  if (std::string earlier = to_follow(id, key.task, agent); !earlier.empty()) {
    if (earlier == id) {
      event(TaskLog{Severity::kInfo,
                    fmt::format("attempt {} was on {} already; its output comes from the first byte",
                                key.number, agent)});
    } else {
      event(TaskLog{Severity::kInfo, fmt::format("it succeeded on {} before; that counts", agent)});
      follower.on_event = [](const decltype(Event::body)&) {};
    }
    client_.follow(std::move(earlier), std::move(follower));
    return;
  }
  RunClient::Waits waits = waits_;
  if (request.spec->lost_after) waits.lost_after = *request.spec->lost_after;
  client_.submit(encode_bundle(request, {request.spec->user, agent}), std::move(key), waits,
                 std::move(follower));
}

std::vector<std::pair<std::string, std::string>> RemoteTaskRunner::live() {
  MutexLock lock(mutex_);
  return {live_.begin(), live_.end()};
}

}  // namespace sloth
