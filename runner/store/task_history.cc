#include "runner/store/task_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "runner/base/json.h"

namespace sloth {
namespace {

// JSON has fewer kinds than Value.
std::optional<Value> if_json_keeps(const Value& value) {
  const auto back = from_json(to_json(value));
  return back && *back == value ? std::optional<Value>(value) : std::nullopt;
}

}  // namespace

bool update_record(TaskRecord& record, const Event& event) {
  if (!event.agent.empty()) record.agent = event.agent;
  if (std::holds_alternative<TaskStarted>(event.body)) {
    record.outcome.clear();
    record.message.clear();
    record.outputs.reset();
    record.attempts = std::max(record.attempts, event.attempt);
    return true;
  }
  if (const auto* skipped = std::get_if<TaskSkipped>(&event.body)) {
    record.outcome = outcome_name(OutcomeKind::kSkipped);
    record.message = skipped->reason;
    return true;
  }
  if (const auto* ended = std::get_if<TaskEnded>(&event.body)) {
    if (ended->before) return true;  // it is in the record
    record.outcome = outcome_name(ended->outcome.kind);
    record.message = ended->outcome.message;
    record.attempts = std::max(record.attempts, ended->outcome.attempts);
    record.outputs = if_json_keeps(ended->outcome.outputs);
    record.elapsed_ms = std::chrono::duration_cast<std::chrono::milliseconds>(ended->outcome.elapsed).count();
    return true;
  }
  return false;
}

std::string OutputBudget::take(std::string_view bytes) {
  if (cut_) return "";
  const std::string_view kept = bytes.substr(0, left_);
  left_ -= kept.size();
  if (kept.size() == bytes.size()) return std::string(kept);
  cut_ = true;
  const std::string size = limit_ % (std::size_t{1} << 20) == 0 ? fmt::format("{} MiB", limit_ >> 20)
                                                                : fmt::format("{} bytes", limit_);
  return fmt::format("{}\n[sloth: output beyond {} was not kept]\n", kept, size);
}

}  // namespace sloth
