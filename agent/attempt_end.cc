#include "agent/attempt_end.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <vector>

#include "agent/attempt_launch.h"
#include "agent/result_file.h"
#include "runner/base/duration.h"
#include "runner/base/log.h"
#include "runner/os/descendants.h"
#include "runner/os/process.h"
#include "runner/os/process_table.h"

namespace sloth {
namespace {

using SteadyClock = std::chrono::steady_clock;

// For what cannot be ended: processes in an uninterruptible wait, or of users whom this agent may not signal.
constexpr std::chrono::seconds kLongestSweep{60};
constexpr int kPauseMs = 200;
constexpr std::size_t kShownLog = 2000;

// The group that the process led; 0 when that number is another one's by now: after a restart of the machine,
// or when it was given anew.
pid_t group_of(const ProcessName& name) {
  if (name.boot != boot_id()) return 0;
  const auto record = process_record(name.pid);
  return record && record->start != name.start ? 0 : name.pid;
}

// Returns what is left after all.
std::vector<ProcessInfo> sweep(const std::string& id, pid_t group) {
  const auto deadline = SteadyClock::now() + kLongestSweep;
  for (;;) {
    kill_tree(group, id);
    std::vector<ProcessInfo> left = end_orphans();
    for (ProcessInfo& process : tree_of(group, id)) left.push_back(std::move(process));
    if (left.empty() || SteadyClock::now() >= deadline) return left;
    ::poll(nullptr, 0, kPauseMs);
  }
}

// The end of what the process itself said: its last words before a crash.
std::string last_words(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status {};
  if (!file.open() || ::fstat(file.get(), &status) != 0) return "";
  const off_t from = std::max<off_t>(status.st_size - static_cast<off_t>(kShownLog), 0);
  std::string text(kShownLog, '\0');
  const ssize_t count = ::pread(file.get(), text.data(), text.size(), from);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string cause_of(const AttemptPlan& plan, const AttemptDeath& death) {
  if (!death.known) return "attempt process died and left no result";
  if (death.signal == SIGXCPU) {
    return fmt::format("the attempt used more than {} of CPU time (\"cpu\" in the agent's policy)",
                       format_duration(plan.limits.cpu));
  }
  if (death.signal != 0) return fmt::format("attempt process died ({})", signal_name(death.signal));
  return fmt::format("attempt process died (exit code {}) and left no result", death.code);
}

AttemptState state_of(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kSucceeded: return AttemptState::kSucceeded;
    case OutcomeKind::kTimedOut: return AttemptState::kTimedOut;
    case OutcomeKind::kCancelled: return AttemptState::kCancelled;
    default: return AttemptState::kFailed;
  }
}

Outcome outcome_with(OutcomeKind kind, std::string message) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.message = std::move(message);
  return outcome;
}

std::pair<AttemptState, Outcome> verdict(const AttemptPlan& plan, std::optional<StoredResult> result,
                                         const AttemptDeath& death,
                                         const AttemptCircumstances& circumstances) {
  if (result) {
    Outcome& outcome = result->outcome;
    if (outcome.kind == OutcomeKind::kCancelled && circumstances.cancelled &&
        !circumstances.cancelled->empty()) {
      outcome.message = *circumstances.cancelled;
    }
    if (outcome.kind == OutcomeKind::kCancelled && circumstances.out_of_time)
      outcome.kind = OutcomeKind::kTimedOut;
    const AttemptState state = state_of(outcome.kind);
    return {state, std::move(outcome)};
  }
  if (circumstances.cancelled) {
    const OutcomeKind kind = circumstances.out_of_time ? OutcomeKind::kTimedOut : OutcomeKind::kCancelled;
    return {state_of(kind), outcome_with(kind, *circumstances.cancelled)};
  }
  if (!circumstances.watched) {
    return {AttemptState::kInterrupted,
            outcome_with(OutcomeKind::kUnknown, "the attempt's process is gone and left no result")};
  }
  Outcome outcome = outcome_with(OutcomeKind::kFailed, cause_of(plan, death));
  outcome.traceback = last_words(plan.files.log());
  return {AttemptState::kFailed, std::move(outcome)};
}

}  // namespace

std::pair<AttemptState, Outcome> end_attempt(const AttemptPlan& plan, const ProcessName& name,
                                             const Descriptor& pidfd,
                                             const AttemptCircumstances& circumstances) {
  auto read = read_result(plan.files.result());
  if (!read) log_warn("attempt {}: {}", plan.id, read.error().message);
  std::optional<StoredResult> result = read ? std::move(*read) : std::nullopt;

  // A process that says it left nothing behind was the home of its orphans, so it knows; whoever escaped it,
  // however it did that, is now a child of ours.
  std::vector<ProcessInfo> left = end_orphans();
  if (!result || !result->clean || !left.empty()) left = sweep(plan.id, group_of(name));
  // Last, so that its number was nobody else's until now.
  const AttemptDeath death = pidfd.open() ? reap_attempt(name.pid, pidfd.get()) : AttemptDeath();
  auto [state, outcome] = verdict(plan, std::move(result), death, circumstances);
  if (!left.empty()) {
    const std::string problem = "these processes of the attempt could not be ended: " + names_of(left);
    log_warn("attempt {}: {}", plan.id, problem);
    // To say "cancelled" is to say that nothing of it is left.
    if (state == AttemptState::kCancelled || state == AttemptState::kTimedOut) {
      state = AttemptState::kFailed;
      outcome.kind = OutcomeKind::kFailed;
      outcome.message += "; " + problem;
    } else {
      outcome.warnings.push_back(problem);
    }
  }
  return {state, std::move(outcome)};
}

}  // namespace sloth
