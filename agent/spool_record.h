// Records of a spool (spool.h): their bytes, and what they say.
//
// Thread-safe: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runner/base/output.h"
#include "runner/base/result.h"
#include "runner/task/event.h"

namespace sloth {

inline constexpr std::size_t kRecordHead = 9;  // length, sum, kind
inline constexpr std::size_t kMostPayload = std::size_t{64} << 10;

enum class RecordKind : std::uint8_t {
  kStdout = 1,
  kStderr = 2,
  kLog = 3,      // the last or only piece of an encoded TaskLog
  kGap = 4,      // u64, little endian: bytes left out here
  kLogPart = 5,  // a piece of an encoded TaskLog that goes on in the next record
};

struct RecordHead {
  std::uint32_t length = 0;
  std::uint32_t sum = 0;
  RecordKind kind = RecordKind::kStdout;
};

// REQUIRES: `bytes` holds kRecordHead of them. kInvalid when they cannot be the head of a record.
Result<RecordHead> read_record_head(std::string_view bytes);
// Whether `record` (head and payload) has the sum that its head says.
bool has_right_sum(const RecordHead& head, std::string_view record);

// REQUIRES: at most kMostPayload bytes.
std::string encode_record(RecordKind kind, std::string_view payload);
std::string encode_gap(std::uint64_t missing);
std::uint64_t decode_gap(std::string_view payload);

std::string encode_log(const TaskLog& log);
Result<TaskLog> decode_log(std::string_view bytes);

}  // namespace sloth
