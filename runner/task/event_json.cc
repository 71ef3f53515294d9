#include "runner/task/event_json.h"

#include <fmt/format.h>

#include <chrono>
#include <string_view>

#include "runner/base/json.h"

namespace sloth {
namespace {

// A Value::Map would sort the fields; people read "ts" and "type" first.
class Line {
 public:
  Line(const Event& event, const char* type) {
    add("v", kEventJsonVersion);
    add("ts", rfc3339(event.wall_ms));
    add("type", type);
    add("run", event.run);
    if (!event.task.empty()) add("task", event.task);
    if (event.attempt > 0) add("attempt", event.attempt);
    if (!event.agent.empty()) add("agent", event.agent);
  }
  void add(const char* key, const Value& value) {
    text_ += text_.empty() ? "{\"" : ",\"";
    text_ += key;
    text_ += "\":";
    text_ += to_json(value);
  }
  void add_unless_empty(const char* key, const std::string& text) {
    if (!text.empty()) add(key, text);
  }
  std::string finish() && { return std::move(text_) + "}"; }

 private:
  std::string text_;
};

// Whole microseconds, so that a line does not carry digits of noise.
Value in_ms(Duration duration) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count()) /
         1000.0;
}

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned first = byte(at++);
    if (first < 0x80) continue;
    const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || bytes.size() - at < more) return false;
    const unsigned second = byte(at);
    const unsigned lowest = first == 0xE0 ? 0xA0U : first == 0xF0 ? 0x90U : 0x80U;
    const unsigned highest = first == 0xED ? 0x9FU : first == 0xF4 ? 0x8FU : 0xBFU;
    if (second < lowest || second > highest) return false;
    for (std::size_t i = 1; i < more; ++i) {
      if ((byte(at + i) & 0xC0U) != 0x80U) return false;
    }
    at += more;
  }
  return true;
}

// RFC 4648, with padding.
std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto byte = [&](std::size_t i) -> unsigned {
      return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U;
    };
    const unsigned group = byte(0) << 16 | byte(1) << 8 | byte(2);
    text += kDigits[group >> 18];
    text += kDigits[(group >> 12) & 63U];
    text += at + 1 < bytes.size() ? kDigits[(group >> 6) & 63U] : '=';
    text += at + 2 < bytes.size() ? kDigits[group & 63U] : '=';
  }
  return text;
}

const char* type_of(const RunStarted&) { return "run.start"; }
const char* type_of(const TaskStarted&) { return "task.start"; }
const char* type_of(const TaskOutput&) { return "output"; }
const char* type_of(const TaskLog&) { return "log"; }
const char* type_of(const TaskRetry&) { return "task.retry"; }
const char* type_of(const TaskSkipped&) { return "task.skip"; }
const char* type_of(const TaskEnded&) { return "task.end"; }
const char* type_of(const RunEnded&) { return "run.end"; }

void write(Line& line, const RunStarted& body) {
  line.add("file", body.file);
  line.add("tasks", body.tasks);
  line.add("jobs", body.jobs);
  line.add("local", body.local_forced);
}
void write(Line&, const TaskStarted&) {}
void write(Line& line, const TaskOutput& body) {
  line.add("stream", stream_name(body.stream));
  if (is_utf8(body.bytes)) {
    line.add("text", body.bytes);
  } else {
    line.add("base64", base64(body.bytes));
  }
}
void write(Line& line, const TaskLog& body) {
  line.add("level", severity_name(body.severity));
  line.add("text", body.text);
  if (!body.fields.is_map() || !body.fields.as_map().empty()) line.add("fields", body.fields);
}
void write(Line& line, const TaskRetry& body) {
  line.add("reason", body.reason);
  line.add("delay_ms", in_ms(body.delay));
}
void write(Line& line, const TaskSkipped& body) { line.add("reason", body.reason); }
void write(Line& line, const TaskEnded& body) {
  const Outcome& outcome = body.outcome;
  line.add("outcome", outcome_name(outcome.kind));
  if (body.before) line.add("before", true);
  line.add("message", outcome.message);
  line.add("changed", outcome.changed);
  line.add("attempts", outcome.attempts);
  line.add("elapsed_ms", in_ms(outcome.elapsed));
  line.add("outputs", outcome.outputs);
  line.add_unless_empty("place", outcome.place);
  line.add_unless_empty("traceback", outcome.traceback);
  if (!outcome.targets.empty()) {
    Value::List targets;
    for (const TargetOutcome& target : outcome.targets) {
      targets.emplace_back(Value::Map{{"agent", target.agent},
                                      {"outcome", outcome_name(target.kind)},
                                      {"message", target.message},
                                      {"elapsed_ms", in_ms(target.elapsed)}});
    }
    line.add("targets", std::move(targets));
  }
  if (!outcome.warnings.empty()) {
    line.add("warnings", Value::List(outcome.warnings.begin(), outcome.warnings.end()));
  }
}
void write(Line& line, const RunEnded& body) {
  line.add("exit_code", body.exit_code);
  line.add("elapsed_ms", in_ms(body.elapsed));
  line.add("succeeded", body.succeeded);
  line.add("failed", body.failed);
  line.add("skipped", body.skipped);
  line.add("cancelled", body.cancelled);
}

}  // namespace

std::string rfc3339(std::int64_t wall_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> moment{milliseconds(wall_ms)};
  const auto day = floor<days>(moment);
  const year_month_day date{day};
  const hh_mm_ss time{moment - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     time.subseconds().count());
}

std::string event_json(const Event& event) {
  return std::visit(
      [&](const auto& body) {
        Line line(event, type_of(body));
        write(line, body);
        return std::move(line).finish();
      },
      event.body);
}

}  // namespace sloth
