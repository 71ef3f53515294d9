#include "runner/task/event_json.h"

#include "runner/base/json.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

Event event_of(decltype(Event::body) body) {
  Event event;
  event.wall_ms = 1772357400250;
  event.run = "r1";
  event.task = "build";
  event.attempt = 2;
  event.body = std::move(body);
  return event;
}

Event run_event_of(decltype(Event::body) body) {
  Event event = event_of(std::move(body));
  event.task.clear();
  event.attempt = 0;
  return event;
}

const std::string kStamp = R"({"v":1,"ts":"2026-03-01T09:30:00.250Z",)";

TEST_CASE("Each event is one line of JSON in the documented form") {
  using std::chrono::microseconds;
  Outcome plain;
  plain.message = "done";
  plain.attempts = 1;
  plain.elapsed = microseconds(1500);
  Outcome full = plain;
  full.kind = OutcomeKind::kTimedOut;
  full.message = "line one\nline \"two\"";
  full.traceback = "stack";
  full.place = "tasks.lua:12";
  full.changed = false;
  full.outputs = Value::Map{{"n", 1}, {"list", Value::List{true, "x"}}};
  full.warnings = {"w1", "w2"};
  RunEnded run_end;
  run_end.exit_code = 1;
  run_end.elapsed = microseconds(2'000'000);
  run_end.succeeded = 3;
  run_end.failed = 1;
  run_end.skipped = 2;
  run_end.cancelled = 4;

  const std::vector<std::pair<Event, std::string>> rows = {
      {run_event_of(RunStarted{"tasks.lua", 3, 2, true}),
       R"("type":"run.start","run":"r1","file":"tasks.lua","tasks":3,"jobs":2,"local":true})"},
      {event_of(TaskStarted{}), R"("type":"task.start","run":"r1","task":"build","attempt":2})"},
      {event_of(TaskOutput{OutputStream::kStderr, "caf\xC3\xA9\n\x1B[0m"}),
       R"("type":"output","run":"r1","task":"build","attempt":2,"stream":"stderr","text":"café\n\u001b[0m"})"},
      {event_of(TaskOutput{OutputStream::kStdout, "\xC3"}),
       R"("type":"output","run":"r1","task":"build","attempt":2,"stream":"stdout","base64":"ww=="})"},
      {event_of(TaskLog{Severity::kWarn, "slow", Value::Map{{"ms", 12.5}}}),
       R"("type":"log","run":"r1","task":"build","attempt":2,"level":"warn","text":"slow","fields":{"ms":12.5}})"},
      {event_of(TaskLog{Severity::kSuccess, "ok", Value::Map{}}),
       R"("type":"log","run":"r1","task":"build","attempt":2,"level":"success","text":"ok"})"},
      {event_of(TaskRetry{"exit code 1", microseconds(1'250)}),
       R"("type":"task.retry","run":"r1","task":"build","attempt":2,"reason":"exit code 1","delay_ms":1.25})"},
      {event_of(TaskSkipped{"skipped: lint failed"}),
       R"("type":"task.skip","run":"r1","task":"build","attempt":2,"reason":"skipped: lint failed"})"},
      {event_of(TaskEnded{plain}),
       R"("type":"task.end","run":"r1","task":"build","attempt":2,"outcome":"succeeded","message":"done",)"
       R"("changed":true,"attempts":1,"elapsed_ms":1.5,"outputs":{}})"},
      {event_of(TaskEnded{plain, true}),
       R"("type":"task.end","run":"r1","task":"build","attempt":2,"outcome":"succeeded","before":true,)"
       R"("message":"done","changed":true,"attempts":1,"elapsed_ms":1.5,"outputs":{}})"},
      {event_of(TaskEnded{full}),
       R"("type":"task.end","run":"r1","task":"build","attempt":2,"outcome":"timed_out",)"
       R"("message":"line one\nline \"two\"","changed":false,"attempts":1,"elapsed_ms":1.5,)"
       R"("outputs":{"list":[true,"x"],"n":1},"place":"tasks.lua:12","traceback":"stack","warnings":["w1","w2"]})"},
      {run_event_of(run_end), R"("type":"run.end","run":"r1","exit_code":1,"elapsed_ms":2000,)"
                              R"("succeeded":3,"failed":1,"skipped":2,"cancelled":4})"},
  };
  for (const auto& [event, line] : rows) {
    CHECK(event_json(event) == kStamp + line);
    CHECK(from_json(event_json(event)));
  }
}

TEST_CASE("The agent is named when there is one") {
  Event event = event_of(TaskStarted{});
  event.agent = "web-1";
  CHECK(event_json(event) ==
        kStamp + R"("type":"task.start","run":"r1","task":"build","attempt":2,"agent":"web-1"})");
}

TEST_CASE("Output that is no UTF-8 is sent whole, in base64") {
  struct Row {
    std::string bytes, field;
  };
  const std::vector<Row> rows = {
      {"", R"("text":"")"},
      {std::string("\0", 1), R"("text":"\u0000")"},
      {"\xF0\x9F\x90\xA2", "\"text\":\"\xF0\x9F\x90\xA2\""},
      {"\xED\x9F\xBF", "\"text\":\"\xED\x9F\xBF\""},
      {"\xFF", R"("base64":"/w==")"},
      {"a\xFF", R"("base64":"Yf8=")"},
      {"ab\xFF", R"("base64":"YWL/")"},
      {"\xC0\x80", R"("base64":"wIA=")"},              // overlong
      {"\xE0\x9F\xBF", R"("base64":"4J+/")"},          // overlong
      {"\xED\xA0\x80", R"("base64":"7aCA")"},          // a surrogate
      {"\xF4\x90\x80\x80", R"("base64":"9JCAgA==")"},  // above U+10FFFF
      {"\xF0\x9F\x90", R"("base64":"8J+Q")"},          // cut
      {"\xE2\x82\x41", R"("base64":"4oJB")"},          // a wrong third byte
      {"\x80", R"("base64":"gA==")"},
  };
  for (const Row& row : rows) {
    CHECK_THAT(event_json(event_of(TaskOutput{OutputStream::kStdout, row.bytes})),
               Catch::EndsWith("," + row.field + "}"));
  }
}

TEST_CASE("Moments are written as RFC 3339 in UTC with milliseconds") {
  CHECK(rfc3339(0) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(951782399999) == "2000-02-28T23:59:59.999Z");
  CHECK(rfc3339(951782400000) == "2000-02-29T00:00:00.000Z");
  CHECK(rfc3339(-1) == "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace sloth
