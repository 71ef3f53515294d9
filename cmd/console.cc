#include "cmd/console.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "cmd/terminal_text.h"
#include "runner/base/duration.h"
#include "runner/base/json.h"

namespace sloth {
namespace {

constexpr std::size_t kTailLines = 20;
constexpr std::size_t kLongestTailLine = 2000;
constexpr std::size_t kLongestLine = 16u << 10;  // a longer one is shown in pieces
constexpr std::size_t kMostListed = 20;

constexpr const char* kRed = "31";
constexpr const char* kGreen = "32";
constexpr const char* kYellow = "33";
constexpr const char* kDim = "2";
constexpr const char* kBold = "1";

std::string fields_text(const Value& fields) {
  std::string text;
  if (!fields.is_map()) return text;
  for (const auto& [key, value] : fields.as_map()) {
    text += fmt::format(" {}={}", key_text(key), value.is_string() ? value.as_string() : to_json(value));
  }
  return text;
}

std::string indented(std::string_view text, const char* by) {
  std::string result;
  while (!text.empty()) {
    const auto end = text.find('\n');
    result += by;
    result += text.substr(0, end);
    result += '\n';
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return result;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string count_of(std::size_t count, const char* what) {
  return count == 0 ? "" : fmt::format(", {} {}", count, what);
}

}  // namespace

Console::Console(ConsoleOptions options, OutputFile& out, OutputFile& err)
    : options_(options), out_(out), err_(err) {}

void Console::on_event(const Event& event) {
  MutexLock lock(mutex_);
  show(event);
}

void Console::show(const Event& event) {
  const std::string& task = event.task;
  // What several agents write for one task is told apart.
  const Speaker who{task, event.one_of_many ? event.agent : ""};
  if (const auto* run = std::get_if<RunStarted>(&event.body)) {
    local_forced_ = run->local_forced;
  } else if (std::get_if<TaskStarted>(&event.body) != nullptr) {
    views_[who];
    if (options_.quiet) return;
    say(painted(kDim, "▶") + " " + task +
        (event.attempt > 1 ? fmt::format(" (attempt {})", event.attempt) : ""));
  } else if (const auto* output = std::get_if<TaskOutput>(&event.body)) {
    show_output(who, *output);
  } else if (const auto* log = std::get_if<TaskLog>(&event.body)) {
    show_log(who, *log);
  } else if (const auto* retry = std::get_if<TaskRetry>(&event.body)) {
    end_lines(who);
    if (options_.quiet) return;
    say(fmt::format("{} {}: attempt {} failed: {}; again in {}", painted(kYellow, "↻"), task, event.attempt,
                    first_line(retry->reason), format_duration(retry->delay)));
  } else if (const auto* skip = std::get_if<TaskSkipped>(&event.body)) {
    end_lines(who);
    views_.erase(who);
    if (options_.verbose) say(painted(kDim, "-") + " " + task + "  " + skip->reason);
  } else if (const auto* end = std::get_if<TaskEnded>(&event.body)) {
    if (!end->before) return show_end(task, end->outcome);
    if (!options_.quiet) say(painted(kGreen, "✓") + " " + task + "  done before");
  }
}

void Console::show_output(const Speaker& who, const TaskOutput& output) {
  const bool to_err = output.stream == OutputStream::kStderr;
  if (options_.mode == ConsoleOptions::Mode::kStream && !options_.quiet) {
    (to_err ? err_ : out_).write(output.bytes);
  }
  View& view = views_[who];
  std::string& partial = view.partial[to_err ? 1 : 0];
  std::string_view bytes = output.bytes;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    if (end != std::string_view::npos) {
      partial.append(bytes.substr(0, end));
      line_of(who, view, partial);
      partial.clear();
      bytes.remove_prefix(end + 1);
      continue;
    }
    partial.append(bytes);
    bytes = {};
    if (partial.size() >= kLongestLine) {
      line_of(who, view, partial);
      partial.clear();
    }
  }
}

void Console::line_of(const Speaker& who, View& view, std::string_view text) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (!who.task.empty()) keep(view, text);
  if (options_.quiet || options_.mode == ConsoleOptions::Mode::kStream) return;
  std::string line = prefix(who);
  line += options_.to_terminal ? terminal_text(text) : std::string(text);
  line += '\n';
  out_.write(line);
}

void Console::show_log(const Speaker& who, const TaskLog& log) {
  if (log.of_handler) return;  // the summary tells it
  if (log.severity == Severity::kDebug && !options_.verbose) return;
  std::string mark;
  switch (log.severity) {
    case Severity::kDebug: mark = "debug: "; break;
    case Severity::kInfo: break;
    case Severity::kSuccess: mark = painted(kGreen, "✓") + " "; break;
    case Severity::kWarn: mark = painted(kYellow, "warning:") + " "; break;
    case Severity::kError: mark = painted(kRed, "error:") + " "; break;
  }
  std::string text = log.text;
  while (text.ends_with('\n')) text.pop_back();
  text += fields_text(log.fields);
  const bool hidden = options_.quiet && log.severity != Severity::kError;
  for (std::string_view rest = text; !rest.empty() || !mark.empty();) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (!who.task.empty()) keep(views_[who], line);
    if (!hidden) say(prefix(who) + mark + (options_.to_terminal ? terminal_text(line) : std::string(line)));
    mark.clear();
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
}

void Console::keep(View& view, std::string_view line) {
  if (view.tail.size() == kTailLines) view.tail.pop_front();
  view.tail.emplace_back(line.substr(0, kLongestTailLine));
}

void Console::end_lines(const Speaker& who) {
  const auto found = views_.find(who);
  if (found == views_.end()) return;
  for (std::string& partial : found->second.partial) {
    if (!partial.empty()) line_of(who, found->second, partial);
    partial.clear();
  }
}

void Console::show_end(const std::string& task, const Outcome& outcome) {
  std::deque<std::string> tail;
  for (auto view = views_.lower_bound(Speaker{task, ""}); view != views_.end() && view->first.task == task;) {
    end_lines(view->first);
    std::move(view->second.tail.begin(), view->second.tail.end(), std::back_inserter(tail));
    view = views_.erase(view);
  }
  if (!outcome.succeeded() && !tail.empty()) tails_[task] = std::move(tail);
  const bool started = outcome.attempts > 0;
  if (outcome.kind == OutcomeKind::kCancelled && !started) return;  // listed at the end
  if (!options_.quiet) {
    for (const std::string& warning : outcome.warnings) {
      say(prefix({task, ""}) + painted(kYellow, "warning:") + " " + warning);
    }
  }
  if (options_.quiet && outcome.succeeded()) return;
  const std::string mark = outcome.succeeded()                       ? painted(kGreen, "✓")
                           : outcome.kind == OutcomeKind::kCancelled ? painted(kYellow, "✗")
                                                                     : painted(kRed, "✗");
  std::string line = mark + " " + task;
  if (started) line += "  " + painted(kDim, format_duration(outcome.elapsed));
  if (outcome.succeeded() && !outcome.changed) line += "  unchanged";
  if (!outcome.message.empty()) line += "  " + first_line(outcome.message);
  say(line);
}

void Console::summarize(const RunReport& report, const Locate& locate) {
  const RunReport::Counts counts = report.counts();
  std::vector<std::tuple<const std::string*, const Outcome*, Location>> failures;
  for (const auto& [task, outcome] : report.outcomes) {
    if (!outcome.fails_run() || (outcome.kind == OutcomeKind::kCancelled && outcome.attempts == 0)) continue;
    // Outside the lock: the source line comes from another thread.
    failures.emplace_back(&task, &outcome, locate(task, outcome));
  }
  MutexLock lock(mutex_);
  for (const auto& [task, outcome, location] : failures) show_failure(*task, *outcome, location);
  for (const std::string& error : report.handler_errors) {
    say("");
    say(painted(kRed, "error:") + " " + error);
  }
  const bool bad = report.exit_code() != 0;
  if (options_.quiet && !bad) return;
  std::vector<std::string> unstarted;
  for (const auto& [task, outcome] : report.outcomes) {
    const bool listed = outcome.kind == OutcomeKind::kSkipped ||
                        (outcome.kind == OutcomeKind::kCancelled && outcome.attempts == 0);
    if (listed) unstarted.push_back(fmt::format("- {}  {}", task, outcome.message));
  }
  say("");
  const std::size_t shown = unstarted.size() > kMostListed + 5 ? kMostListed : unstarted.size();
  for (std::size_t i = 0; i < shown; ++i) say(painted(kDim, unstarted[i]));
  if (shown < unstarted.size()) say(painted(kDim, fmt::format("- and {} more", unstarted.size() - shown)));
  std::string line = fmt::format("{} {}: {} succeeded", report.outcomes.size(),
                                 report.outcomes.size() == 1 ? "task" : "tasks", counts.succeeded);
  line += count_of(counts.failed, "failed") + count_of(counts.skipped, "skipped") +
          count_of(counts.cancelled, "cancelled");
  line += " in " + format_duration(report.elapsed);
  if (local_forced_) line += " (--local: everything ran on this machine)";
  say(painted(bad ? kRed : kGreen, line));
}

void Console::show_failure(const std::string& task, const Outcome& outcome, const Location& location) {
  say("");
  std::string title = fmt::format("{} {}", task,
                                  outcome.kind == OutcomeKind::kFailed     ? "failed"
                                  : outcome.kind == OutcomeKind::kTimedOut ? "timed out"
                                                                           : outcome_name(outcome.kind));
  if (outcome.attempts > 1) title += fmt::format(" ({} attempts)", outcome.attempts);
  std::string text = painted(kRed, "✗") + " " + painted(kBold, title) + "\n";
  text += indented(outcome.message, "  ");
  if (!location.place.empty()) text += "  at " + location.place + "\n" + indented(location.excerpt, "  ");
  if (!outcome.traceback.empty())
    text += painted(kDim, "  called from") + "\n" + indented(outcome.traceback, "    ");
  const auto tail = tails_.find(task);
  if (tail != tails_.end() && !tail->second.empty()) {
    text += painted(kDim, "  last lines of its output") + "\n";
    for (const std::string& line : tail->second) {
      text += "  | " + (options_.to_terminal ? terminal_text(line) : line) + "\n";
    }
  }
  text.pop_back();
  say(text);
}

std::vector<std::string> Console::running() {
  std::vector<std::string> tasks;
  MutexLock lock(mutex_);
  for (const auto& [who, view] : views_) {
    if (!who.task.empty() && who.agent.empty()) tasks.push_back(who.task);
  }
  return tasks;
}

std::string Console::prefix(const Speaker& who) const {
  if (who.task.empty()) return "";
  return painted(kDim, "[" + who.task + (who.agent.empty() ? "" : "@" + who.agent) + "]") + " ";
}

void Console::say(const std::string& line) {
  (options_.mode == ConsoleOptions::Mode::kStream ? err_ : out_).write(line + "\n");
}

std::string Console::painted(const char* code, const std::string& text) const {
  return options_.color ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
}

}  // namespace sloth
