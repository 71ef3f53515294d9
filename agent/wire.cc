#include "agent/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "agent/digest.h"
#include "sloth/v1/link.pb.h"

namespace sloth {
namespace {

// The first thing that is wrong with a frame. Once something is, the rest does not matter.
class Check {
 public:
  void require(bool right, std::string_view what) {
    if (!right && wrong_.empty()) wrong_ = what;
  }
  std::string name(const std::string& text, std::string_view field) {
    require(is_name(text), field);
    return text;
  }
  std::string attempt(const std::string& text) {
    require(is_attempt_id(text), "attempt");
    return text;
  }
  std::string digest(const std::string& text) {
    require(is_digest(text), "digest");
    return text;
  }
  // A count that fits our int.
  int count(std::uint32_t value, std::string_view field) {
    require(value <= static_cast<std::uint32_t>(std::numeric_limits<int>::max()), field);
    return static_cast<int>(value & 0x7fffffffU);
  }
  AttemptState state(v1::State state) {
    require(state >= v1::STATE_QUEUED && state <= v1::STATE_LOST, "state");
    return static_cast<AttemptState>(static_cast<int>(state) - 1);
  }
  // A time of at most a hundred years.
  std::int64_t milliseconds(std::int64_t value, std::string_view field) {
    constexpr std::int64_t kCentury = std::int64_t{36'525} * 24 * 3600 * 1000;
    require(value >= 0 && value <= kCentury, field);
    return value;
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  std::string wrong_;
};

static_assert(static_cast<int>(AttemptState::kQueued) + 1 == v1::STATE_QUEUED);
static_assert(static_cast<int>(AttemptState::kLost) + 1 == v1::STATE_LOST);

v1::State to_wire(AttemptState state) { return static_cast<v1::State>(static_cast<int>(state) + 1); }

void to_wire(const AttemptKey& key, v1::AttemptKey& out) {
  out.set_run(key.run);
  out.set_task(key.task);
  out.set_agent(key.agent);
  out.set_number(static_cast<std::uint32_t>(key.number));
}
AttemptKey from_wire(const v1::AttemptKey& key, Check& check) {
  check.require(!key.task().empty() && key.task().size() <= 4096, "task");
  const int number = check.count(key.number(), "number");
  check.require(number >= 1, "number");
  return {check.name(key.run(), "run"), key.task(), check.name(key.agent(), "agent"), number};
}

// ---- one pair of functions per frame: write() fills the frame, read() makes the message -----------------------------

void write(const ContentPart& m, v1::Frame& f) {
  auto& out = *f.mutable_content_part();
  out.set_digest(m.digest);
  out.set_offset(m.offset);
  out.set_bytes(m.bytes);
  out.set_last(m.last);
}
ContentPart read(const v1::ContentPart& in, Check& check) {
  return {check.digest(in.digest()), in.offset(), in.bytes(), in.last()};
}

void write(const ContentWanted& m, v1::Frame& f) {
  auto& out = *f.mutable_content_wanted();
  for (const std::string& digest : m.digests) out.add_digests(digest);
}
ContentWanted read(const v1::ContentWanted& in, Check& check) {
  ContentWanted m;
  for (const std::string& digest : in.digests()) m.digests.push_back(check.digest(digest));
  return m;
}

void write(const SpoolPart& m, v1::Frame& f) {
  auto& out = *f.mutable_spool_part();
  out.set_attempt(m.attempt);
  out.set_offset(m.offset);
  out.set_bytes(m.bytes);
}
SpoolPart read(const v1::SpoolPart& in, Check& check) {
  return {check.attempt(in.attempt()), in.offset(), in.bytes()};
}

void write(const SpoolAck& m, v1::Frame& f) {
  f.mutable_spool_ack()->set_attempt(m.attempt);
  f.mutable_spool_ack()->set_offset(m.offset);
}
SpoolAck read(const v1::SpoolAck& in, Check& check) { return {check.attempt(in.attempt()), in.offset()}; }

void write(const AttemptResult& m, v1::Frame& f) {
  auto& out = *f.mutable_attempt_result();
  out.set_attempt(m.attempt);
  out.set_state(to_wire(m.state));
  out.set_outcome(m.outcome);
  out.set_spool_end(m.spool_end);
}
AttemptResult read(const v1::AttemptResult& in, Check& check) {
  const AttemptState state = check.state(in.state());
  check.require(is_terminal(state), "state");
  return {check.attempt(in.attempt()), state, in.outcome(), in.spool_end()};
}

void write(const ResultAck& m, v1::Frame& f) { f.mutable_result_ack()->set_attempt(m.attempt); }
ResultAck read(const v1::ResultAck& in, Check& check) { return {check.attempt(in.attempt())}; }

void write(const CancelAttempt& m, v1::Frame& f) {
  f.mutable_cancel_attempt()->set_attempt(m.attempt);
  f.mutable_cancel_attempt()->set_reason(m.reason);
}
CancelAttempt read(const v1::CancelAttempt& in, Check& check) { return {check.attempt(in.attempt()), in.reason()}; }

void write(const Rejected& m, v1::Frame& f) {
  f.mutable_rejected()->set_reason(m.reason);
  f.mutable_rejected()->set_permanent(m.permanent);
}
Rejected read(const v1::Rejected& in, Check&) { return {in.reason(), in.permanent()}; }

void write(const AgentHello& m, v1::Frame& f) {
  auto& out = *f.mutable_agent_hello();
  out.set_protocol(static_cast<std::uint32_t>(m.protocol));
  out.set_version(m.version);
  out.set_name(m.name);
  out.set_key(m.key);
  out.set_host(m.host);
  out.set_pid(m.pid);
  out.set_max_attempts(static_cast<std::uint32_t>(m.max_attempts));
  out.set_draining(m.draining);
  for (const AttemptReport& report : m.attempts) {
    auto& attempt = *out.add_attempts();
    attempt.set_attempt(report.attempt);
    attempt.set_digest(report.digest);
    to_wire(report.key, *attempt.mutable_key());
    attempt.set_state(to_wire(report.state));
  }
}
AgentHello read(const v1::AgentHello& in, Check& check) {
  AgentHello m;
  m.protocol = check.count(in.protocol(), "protocol");
  m.version = in.version();
  m.name = check.name(in.name(), "name");
  m.key = check.name(in.key(), "key");
  m.host = in.host();
  m.pid = in.pid();
  m.max_attempts = check.count(in.max_attempts(), "max_attempts");
  m.draining = in.draining();
  for (const v1::AttemptReport& report : in.attempts()) {
    m.attempts.push_back({check.attempt(report.attempt()), check.digest(report.digest()), from_wire(report.key(), check),
                          check.state(report.state())});
  }
  return m;
}

void write(const Heartbeat& m, v1::Frame& f) {
  f.mutable_heartbeat()->set_draining(m.draining);
  f.mutable_heartbeat()->set_running(static_cast<std::uint32_t>(m.running));
}
Heartbeat read(const v1::Heartbeat& in, Check& check) { return {in.draining(), check.count(in.running(), "running")}; }

void write(const OfferAnswer& m, v1::Frame& f) {
  auto& out = *f.mutable_offer_answer();
  out.set_attempt(m.attempt);
  out.set_state(to_wire(m.state));
  out.set_reason(m.reason);
  out.set_may_retry(m.may_retry);
}
OfferAnswer read(const v1::OfferAnswer& in, Check& check) {
  return {check.attempt(in.attempt()), check.state(in.state()), in.reason(), in.may_retry()};
}

void write(const AttemptStarted& m, v1::Frame& f) { f.mutable_attempt_started()->set_attempt(m.attempt); }
AttemptStarted read(const v1::AttemptStarted& in, Check& check) { return {check.attempt(in.attempt())}; }

void write(const Goodbye&, v1::Frame& f) { f.mutable_goodbye(); }
Goodbye read(const v1::Goodbye&, Check&) { return {}; }

void write(const AgentWelcome& m, v1::Frame& f) {
  f.mutable_agent_welcome()->set_lease_ms(m.lease_ms);
  f.mutable_agent_welcome()->set_heartbeat_ms(m.heartbeat_ms);
}
AgentWelcome read(const v1::AgentWelcome& in, Check& check) {
  check.require(in.heartbeat_ms() > 0, "heartbeat_ms");
  return {check.milliseconds(in.lease_ms(), "lease_ms"), check.milliseconds(in.heartbeat_ms(), "heartbeat_ms")};
}

void write(const Offer& m, v1::Frame& f) {
  auto& out = *f.mutable_offer();
  out.set_attempt(m.attempt);
  to_wire(m.key, *out.mutable_key());
  out.set_digest(m.digest);
  out.set_request(m.request);
}
Offer read(const v1::Offer& in, Check& check) {
  return {check.attempt(in.attempt()), from_wire(in.key(), check), check.digest(in.digest()), in.request()};
}

void write(const DrainAgent&, v1::Frame& f) { f.mutable_drain_agent(); }
DrainAgent read(const v1::DrainAgent&, Check&) { return {}; }

void write(const RunHello& m, v1::Frame& f) {
  auto& out = *f.mutable_run_hello();
  out.set_protocol(static_cast<std::uint32_t>(m.protocol));
  out.set_version(m.version);
  out.set_run(m.run);
}
RunHello read(const v1::RunHello& in, Check& check) {
  check.require(in.run().empty() || is_name(in.run()), "run");
  return {check.count(in.protocol(), "protocol"), in.version(), in.run()};
}

void write(const Submit& m, v1::Frame& f) {
  auto& out = *f.mutable_submit();
  out.set_attempt(m.attempt);
  to_wire(m.key, *out.mutable_key());
  out.set_digest(m.digest);
  out.set_request(m.request);
  for (const std::string& digest : m.blobs) out.add_blobs(digest);
  out.set_queue_ms(m.queue_ms);
  out.set_lost_ms(m.lost_ms);
}
Submit read(const v1::Submit& in, Check& check) {
  Submit m;
  m.attempt = check.attempt(in.attempt());
  m.key = from_wire(in.key(), check);
  m.digest = check.digest(in.digest());
  m.request = in.request();
  for (const std::string& digest : in.blobs()) m.blobs.push_back(check.digest(digest));
  m.queue_ms = check.milliseconds(in.queue_ms(), "queue_ms");
  m.lost_ms = check.milliseconds(in.lost_ms(), "lost_ms");
  check.require(m.attempt == attempt_id(m.key), "attempt");
  return m;
}

void write(const Subscribe& m, v1::Frame& f) {
  f.mutable_subscribe()->set_attempt(m.attempt);
  f.mutable_subscribe()->set_offset(m.offset);
}
Subscribe read(const v1::Subscribe& in, Check& check) { return {check.attempt(in.attempt()), in.offset()}; }

void write(const ListAttempts& m, v1::Frame& f) { f.mutable_list_attempts()->set_run(m.run); }
ListAttempts read(const v1::ListAttempts& in, Check& check) { return {check.name(in.run(), "run")}; }

void write(const ListAgents&, v1::Frame& f) { f.mutable_list_agents(); }
ListAgents read(const v1::ListAgents&, Check&) { return {}; }

void write(const AgentCommand& m, v1::Frame& f) {
  f.mutable_agent_command()->set_kind(m.kind == AgentCommand::Kind::kDrain ? v1::AgentCommand::KIND_DRAIN
                                                                          : v1::AgentCommand::KIND_REMOVE);
  f.mutable_agent_command()->set_name(m.name);
}
AgentCommand read(const v1::AgentCommand& in, Check& check) {
  check.require(in.kind() == v1::AgentCommand::KIND_DRAIN || in.kind() == v1::AgentCommand::KIND_REMOVE, "kind");
  return {in.kind() == v1::AgentCommand::KIND_REMOVE ? AgentCommand::Kind::kRemove : AgentCommand::Kind::kDrain,
          check.name(in.name(), "name")};
}

void write(const RunWelcome& m, v1::Frame& f) { f.mutable_run_welcome()->set_version(m.version); }
RunWelcome read(const v1::RunWelcome& in, Check&) { return {in.version()}; }

void write(const AttemptStatus& m, v1::Frame& f) {
  auto& out = *f.mutable_attempt_status();
  out.set_attempt(m.attempt);
  out.set_state(to_wire(m.state));
  out.set_detail(m.detail);
}
AttemptStatus read(const v1::AttemptStatus& in, Check& check) {
  return {check.attempt(in.attempt()), check.state(in.state()), in.detail()};
}

void write(const RunAttempts& m, v1::Frame& f) {
  auto& out = *f.mutable_run_attempts();
  out.set_run(m.run);
  for (const AttemptSummary& summary : m.attempts) {
    auto& attempt = *out.add_attempts();
    attempt.set_attempt(summary.attempt);
    to_wire(summary.key, *attempt.mutable_key());
    attempt.set_state(to_wire(summary.state));
  }
}
RunAttempts read(const v1::RunAttempts& in, Check& check) {
  RunAttempts m{check.name(in.run(), "run"), {}};
  for (const v1::AttemptSummary& summary : in.attempts()) {
    m.attempts.push_back(
        {check.attempt(summary.attempt()), from_wire(summary.key(), check), check.state(summary.state())});
  }
  return m;
}

void write(const Agents& m, v1::Frame& f) {
  f.mutable_agents();
  for (const AgentInfo& info : m.agents) {
    auto& out = *f.mutable_agents()->add_agents();
    out.set_name(info.name);
    out.set_version(info.version);
    out.set_host(info.host);
    out.set_pid(info.pid);
    out.set_connected(info.connected);
    out.set_draining(info.draining);
    out.set_running(static_cast<std::uint32_t>(info.running));
    out.set_queued(static_cast<std::uint32_t>(info.queued));
    out.set_max_attempts(static_cast<std::uint32_t>(info.max_attempts));
    out.set_last_seen_ms(info.last_seen_ms);
  }
}
Agents read(const v1::Agents& in, Check& check) {
  Agents m;
  for (const v1::AgentInfo& info : in.agents()) {
    m.agents.push_back({check.name(info.name(), "name"), info.version(), info.host(), info.pid(), info.connected(),
                        info.draining(), check.count(info.running(), "running"), check.count(info.queued(), "queued"),
                        check.count(info.max_attempts(), "max_attempts"), info.last_seen_ms()});
  }
  return m;
}

void write(const CommandAnswer& m, v1::Frame& f) {
  f.mutable_command_answer()->set_name(m.name);
  f.mutable_command_answer()->set_error(m.error);
}
CommandAnswer read(const v1::CommandAnswer& in, Check& check) { return {check.name(in.name(), "name"), in.error()}; }

Result<Message> read_frame(const v1::Frame& frame, Check& check) {
  switch (frame.message_case()) {
    case v1::Frame::kContentPart: return Message(read(frame.content_part(), check));
    case v1::Frame::kContentWanted: return Message(read(frame.content_wanted(), check));
    case v1::Frame::kSpoolPart: return Message(read(frame.spool_part(), check));
    case v1::Frame::kSpoolAck: return Message(read(frame.spool_ack(), check));
    case v1::Frame::kAttemptResult: return Message(read(frame.attempt_result(), check));
    case v1::Frame::kResultAck: return Message(read(frame.result_ack(), check));
    case v1::Frame::kCancelAttempt: return Message(read(frame.cancel_attempt(), check));
    case v1::Frame::kRejected: return Message(read(frame.rejected(), check));
    case v1::Frame::kAgentHello: return Message(read(frame.agent_hello(), check));
    case v1::Frame::kHeartbeat: return Message(read(frame.heartbeat(), check));
    case v1::Frame::kOfferAnswer: return Message(read(frame.offer_answer(), check));
    case v1::Frame::kAttemptStarted: return Message(read(frame.attempt_started(), check));
    case v1::Frame::kGoodbye: return Message(read(frame.goodbye(), check));
    case v1::Frame::kAgentWelcome: return Message(read(frame.agent_welcome(), check));
    case v1::Frame::kOffer: return Message(read(frame.offer(), check));
    case v1::Frame::kDrainAgent: return Message(read(frame.drain_agent(), check));
    case v1::Frame::kRunHello: return Message(read(frame.run_hello(), check));
    case v1::Frame::kSubmit: return Message(read(frame.submit(), check));
    case v1::Frame::kSubscribe: return Message(read(frame.subscribe(), check));
    case v1::Frame::kListAttempts: return Message(read(frame.list_attempts(), check));
    case v1::Frame::kListAgents: return Message(read(frame.list_agents(), check));
    case v1::Frame::kAgentCommand: return Message(read(frame.agent_command(), check));
    case v1::Frame::kRunWelcome: return Message(read(frame.run_welcome(), check));
    case v1::Frame::kAttemptStatus: return Message(read(frame.attempt_status(), check));
    case v1::Frame::kRunAttempts: return Message(read(frame.run_attempts(), check));
    case v1::Frame::kAgents: return Message(read(frame.agents(), check));
    case v1::Frame::kCommandAnswer: return Message(read(frame.command_answer(), check));
    case v1::Frame::MESSAGE_NOT_SET: break;
  }
  return Error{Code::kInvalid, "a frame of a kind that this version does not know"};
}

}  // namespace

void to_frame(const Message& message, v1::Frame& frame) {
  std::visit([&](const auto& m) { write(m, frame); }, message);
}

Result<Message> from_frame(const v1::Frame& frame) {
  Check check;
  Result<Message> message = read_frame(frame, check);
  if (message && !check.wrong().empty()) {
    return Error{Code::kInvalid, fmt::format("{}: wrong {}", message_name(*message), check.wrong())};
  }
  return message;
}

std::string encode_message(const Message& message) {
  v1::Frame frame;
  to_frame(message, frame);
  return frame.SerializeAsString();
}

Result<Message> decode_message(std::string_view bytes) {
  v1::Frame frame;
  if (bytes.size() > kMostFrameBytes || !frame.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Error{Code::kInvalid, "not a frame of this protocol"};
  }
  return from_frame(frame);
}

std::size_t wire_size(const Message& message) {
  constexpr std::size_t kFixed = 128;
  if (const auto* part = std::get_if<SpoolPart>(&message)) return kFixed + part->bytes.size();
  if (const auto* part = std::get_if<ContentPart>(&message)) return kFixed + part->bytes.size();
  if (const auto* offer = std::get_if<Offer>(&message)) return kFixed + offer->request.size();
  if (const auto* submit = std::get_if<Submit>(&message)) return kFixed + submit->request.size();
  if (const auto* result = std::get_if<AttemptResult>(&message)) return kFixed + result->outcome.size();
  return kFixed;
}

const char* message_name(const Message& message) {
  static constexpr const char* kNames[] = {
      "ContentPart",   "ContentWanted", "SpoolPart",    "SpoolAck",      "AttemptResult", "ResultAck",
      "CancelAttempt", "Rejected",      "AgentHello",   "Heartbeat",     "OfferAnswer",   "AttemptStarted",
      "Goodbye",       "AgentWelcome",  "Offer",        "DrainAgent",    "RunHello",      "Submit",
      "Subscribe",     "ListAttempts",  "ListAgents",   "AgentCommand",  "RunWelcome",    "AttemptStatus",
      "RunAttempts",   "Agents",        "CommandAnswer"};
  static_assert(std::size(kNames) == std::variant_size_v<Message>);
  return kNames[message.index()];
}

bool is_name(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= 63 && plain(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_attempt_id(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace sloth
