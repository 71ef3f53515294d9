#include "agent/spool_record.h"

#include <google/protobuf/io/coded_stream.h>
#include <zlib.h>

#include <algorithm>
#include <utility>

#include "agent/wire_value.h"
#include "runner/base/check.h"
#include "sloth/v1/task.pb.h"
#include "sloth/v1/value.pb.h"

namespace sloth {
namespace {

constexpr std::size_t kSumAt = 4;
constexpr std::size_t kKindAt = 8;

void put(std::string& out, std::uint64_t number, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
}

std::uint64_t take(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) number = (number << 8) | static_cast<unsigned char>(bytes[i]);
  return number;
}

std::uint32_t sum_of(std::string_view bytes, std::uint32_t before = 0) {
  return static_cast<std::uint32_t>(
      ::crc32_z(before, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

// A spool must not become unreadable by what a task logs: what from_wire() refuses is not written.
constexpr int kDeepestFields = 100;
// Three messages for each level.
constexpr int kRecursion = 400;

bool is_deeper_than(const Value& value, int depth) {
  if (!value.is_list() && !value.is_map()) return false;
  if (depth == 0) return true;
  const auto deeper = [depth](const Value& below) { return is_deeper_than(below, depth - 1); };
  if (value.is_list()) return std::any_of(value.as_list().begin(), value.as_list().end(), deeper);
  return std::any_of(value.as_map().begin(), value.as_map().end(),
                     [&](const auto& entry) { return deeper(entry.second); });
}

constexpr Severity kSeverities[] = {Severity::kDebug, Severity::kInfo, Severity::kSuccess, Severity::kWarn,
                                    Severity::kError};

}  // namespace

Result<RecordHead> read_record_head(std::string_view bytes) {
  SLOTH_CHECK(bytes.size() >= kRecordHead);
  RecordHead head;
  head.length = static_cast<std::uint32_t>(take(bytes.substr(0, kSumAt)));
  head.sum = static_cast<std::uint32_t>(take(bytes.substr(kSumAt, kKindAt - kSumAt)));
  const auto kind = static_cast<std::uint8_t>(bytes[kKindAt]);
  if (kind < static_cast<std::uint8_t>(RecordKind::kStdout) ||
      kind > static_cast<std::uint8_t>(RecordKind::kLogPart)) {
    return Error{Code::kInvalid, "a spool record of no known kind"};
  }
  head.kind = static_cast<RecordKind>(kind);
  if (head.length > kMostPayload || (head.kind == RecordKind::kGap && head.length != sizeof(std::uint64_t))) {
    return Error{Code::kInvalid, "a spool record of a wrong length"};
  }
  return head;
}

bool has_right_sum(const RecordHead& head, std::string_view record) {
  return sum_of(record.substr(kKindAt, 1 + head.length)) == head.sum;
}

std::string encode_record(RecordKind kind, std::string_view payload) {
  SLOTH_CHECK(payload.size() <= kMostPayload);
  const char kind_byte = static_cast<char>(kind);
  std::string record;
  record.reserve(kRecordHead + payload.size());
  put(record, payload.size(), 4);
  put(record, sum_of(payload, sum_of({&kind_byte, 1})), 4);
  record.push_back(kind_byte);
  record.append(payload);
  return record;
}

std::string encode_gap(std::uint64_t missing) {
  std::string payload;
  put(payload, missing, sizeof(missing));
  return encode_record(RecordKind::kGap, payload);
}

std::uint64_t decode_gap(std::string_view payload) { return take(payload); }

std::string encode_log(const TaskLog& log) {
  v1::LogRecord out;
  out.set_severity(severity_name(log.severity));
  out.set_text(log.text);
  if (is_deeper_than(log.fields, kDeepestFields)) {
    out.set_text(log.text + " (its fields are nested too deep to be sent)");
  } else {
    to_wire(log.fields, *out.mutable_fields());
  }
  return out.SerializeAsString();
}

Result<TaskLog> decode_log(std::string_view bytes) {
  v1::LogRecord in;
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kRecursion);
  if (!in.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    return Error{Code::kInvalid, "a log line of a spool cannot be read"};
  }
  TaskLog log;
  bool known = false;
  for (const Severity severity : kSeverities) {
    if (in.severity() != severity_name(severity)) continue;
    log.severity = severity;
    known = true;
  }
  if (!known) return Error{Code::kInvalid, "a log line of a spool has no known severity"};
  auto fields = from_wire(in.fields());
  if (!fields) return fields.error();
  log.text = in.text();
  log.fields = std::move(*fields);
  return log;
}

}  // namespace sloth
