#include "agent/result_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "agent/bundle.h"
#include "runner/os/file_tree.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

constexpr std::size_t kHead = 8;
constexpr off_t kReserved = 64 << 10;
constexpr std::size_t kMostText = std::size_t{16} << 10;
constexpr std::size_t kMostWarnings = 20;
constexpr char kClean = 1;

std::uint32_t sum_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::string record_of(const StoredResult& result) {
  std::string body(1, result.clean ? kClean : '\0');
  body += encode_outcome(result.outcome);
  std::string record;
  for (const std::uint32_t number : {static_cast<std::uint32_t>(body.size() - 1), sum_of(body)}) {
    for (int i = 0; i < 4; ++i) record.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
  }
  return record + body;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i-- > 0;) number = (number << 8) | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

// What is left of an outcome that cannot be kept whole.
void shorten(Outcome& outcome, const std::string& why) {
  const auto cut = [](std::string& text) {
    if (text.size() > kMostText) text = text.substr(0, kMostText) + " ...";
  };
  outcome.outputs = Value::Map{};
  if (outcome.kind == OutcomeKind::kSucceeded) {
    outcome.kind = OutcomeKind::kFailed;
    outcome.message = why;
  } else {
    outcome.warnings.insert(outcome.warnings.begin(), why);
  }
  if (outcome.warnings.size() > kMostWarnings) outcome.warnings.resize(kMostWarnings);
  cut(outcome.message);
  cut(outcome.traceback);
  for (std::string& warning : outcome.warnings) cut(warning);
}

int write_record(int fd, const std::string& record) {
  std::size_t at = 0;
  while (at < record.size()) {
    const ssize_t count = ::pwrite(fd, record.data() + at, record.size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : ENOSPC;
    at += static_cast<std::size_t>(count);
  }
  return ::fdatasync(fd) == 0 ? 0 : errno;
}

}  // namespace

Result<void> reserve_result(int fd) {
  if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, kReserved) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
    return {};
  return Error{code_of(errno), fmt::format("no room for the result: {}", reason_of(errno))};
}

Result<void> write_result(int fd, StoredResult result) {
  std::string record = record_of(result);
  if (record.size() > kMostOutcomeBytes) {
    shorten(result.outcome,
            fmt::format("the task's outputs and message take {} bytes, and an agent can send {}: write "
                        "the data to a file",
                        record.size(), kMostOutcomeBytes));
    record = record_of(result);
  }
  int error = write_record(fd, record);
  if (error == ENOSPC || error == EDQUOT) {
    shorten(result.outcome,
            fmt::format("the task ended as {}, but there was no room on the agent's disk for its outputs",
                        outcome_name(result.outcome.kind)));
    error = write_record(fd, record_of(result));
  }
  if (error != 0) return Error{code_of(error), fmt::format("cannot write the result: {}", reason_of(error))};
  return {};
}

Result<std::optional<StoredResult>> read_result(const std::string& path) {
  auto bytes = read_file(path, kMostOutcomeBytes + (std::size_t{1} << 20));
  if (!bytes && bytes.error().code == Code::kNotFound) return std::optional<StoredResult>();
  if (!bytes) return bytes.error();
  if (bytes->size() <= kHead) return std::optional<StoredResult>();
  const std::string_view body = std::string_view(*bytes).substr(kHead);
  const std::size_t length = std::size_t{number_at(*bytes, 0)} + 1;
  if (length > body.size() || sum_of(body.substr(0, length)) != number_at(*bytes, 4)) {
    return std::optional<StoredResult>();
  }
  auto outcome = decode_outcome(body.substr(1, length - 1));
  if (!outcome) return outcome.error();
  return std::optional<StoredResult>(StoredResult{std::move(*outcome), body[0] == kClean});
}

}  // namespace sloth
