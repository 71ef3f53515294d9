#include "agent/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "agent/spool_record.h"
#include "runner/base/check.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

constexpr std::size_t kTailBytes = std::size_t{64} << 10;
// Kept free behind the end of the file: the gap and the tail must go there when the disk is full.
constexpr std::uint64_t kLastWords = kTailBytes + (std::uint64_t{16} << 10);
constexpr std::uint64_t kReserveStep = std::uint64_t{1} << 20;
constexpr std::uint64_t kStatBlock = 512;
constexpr std::size_t kLongestLog = std::size_t{64} << 20;

RecordKind kind_of(OutputStream stream) {
  return stream == OutputStream::kStdout ? RecordKind::kStdout : RecordKind::kStderr;
}

std::size_t payload_of(const std::string& records) { return records.size() - kRecordHead; }

bool is_full(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

}  // namespace

std::string spool_record(OutputStream stream, std::string_view bytes) {
  std::string records;
  for (std::size_t at = 0; at < bytes.size(); at += kMostPayload) {
    records += encode_record(kind_of(stream), bytes.substr(at, kMostPayload));
  }
  return records;
}

std::string spool_record(const TaskLog& log) {
  const std::string encoded = encode_log(log);
  std::string_view left = encoded;
  std::string records;
  for (; left.size() > kMostPayload; left.remove_prefix(kMostPayload)) {
    records += encode_record(RecordKind::kLogPart, left.substr(0, kMostPayload));
  }
  return records + encode_record(RecordKind::kLog, left);
}

SpoolWriter::SpoolWriter(int fd, std::uint64_t quota) : fd_(fd), quota_(quota) {}

SpoolWriter::~SpoolWriter() = default;

void SpoolWriter::on_event(const Event& event) {
  MutexLock lock(mutex_);
  if (finished_) return;
  if (const auto* output = std::get_if<TaskOutput>(&event.body)) {
    const std::string_view bytes = output->bytes;
    for (std::size_t at = 0; at < bytes.size(); at += kMostPayload) {
      add(encode_record(kind_of(output->stream), bytes.substr(at, kMostPayload)));
    }
  } else if (const auto* log = std::get_if<TaskLog>(&event.body)) {
    add(spool_record(*log));
  }
}

std::uint64_t SpoolWriter::finish() {
  MutexLock lock(mutex_);
  if (finished_) return left_out_;
  finished_ = true;
  if (!catch_up(true)) {
    while (!tail_.empty()) drop_oldest();
    if (!rest_.empty()) left_out_ += rest_payload_;
  }
  // Gives back what was reserved behind the end.
  struct stat status {};
  if (::fstat(fd_, &status) == 0 && ::ftruncate(fd_, status.st_size) != 0) reserved_ = 0;
  return left_out_;
}

void SpoolWriter::add(std::string records) {
  if (!catch_up(false) || !room_for(records.size()) || !write(records)) keep(std::move(records));
}

bool SpoolWriter::room_for(std::size_t bytes) {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return false;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t blocks = static_cast<std::uint64_t>(status.st_blocks) * kStatBlock;
  const std::uint64_t ahead = reserved_ > size ? reserved_ - size : 0;
  if (blocks - std::min(blocks, ahead) + bytes > quota_) return false;

  const std::uint64_t least = size + bytes + kLastWords;
  if (!may_reserve_ || least <= reserved_) return true;
  for (const std::uint64_t end : {least + kReserveStep, least}) {
    if (::fallocate(fd_, FALLOC_FL_KEEP_SIZE, status.st_size, static_cast<off_t>(end - size)) == 0) {
      reserved_ = end;
      return true;
    }
  }
  if (is_full(errno)) return false;
  // A file system that cannot promise room: what is written is all we know.
  may_reserve_ = false;
  reserved_ = 0;
  return true;
}

bool SpoolWriter::write(std::string_view records) {
  const std::size_t whole = records.size();
  bool begun = false;
  while (!records.empty()) {
    const ssize_t count = ::write(fd_, records.data(), records.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      // Never cut off again what is there: it may have been read and sent.
      if (begun) {
        rest_ = records;
        rest_payload_ = whole - kRecordHead;
      }
      return begun;
    }
    begun = true;
    records.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool SpoolWriter::write_rest() {
  while (!rest_.empty()) {
    const ssize_t count = ::write(fd_, rest_.data(), rest_.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    rest_.erase(0, static_cast<std::size_t>(count));
  }
  return true;
}

bool SpoolWriter::catch_up(bool at_any_price) {
  if (rest_.empty() && missing_ == 0 && tail_.empty()) return true;
  if (!at_any_price && !room_for(rest_.size() + tail_bytes_ + 2 * kRecordHead * (tail_.size() + 1)))
    return false;
  if (!rest_.empty() && !write_rest()) return false;
  if (missing_ > 0) {
    if (!write(encode_gap(missing_))) return false;
    missing_ = 0;
  }
  while (rest_.empty() && !tail_.empty()) {
    if (!write(tail_.front())) return false;
    tail_bytes_ -= payload_of(tail_.front());
    tail_.pop_front();
  }
  return rest_.empty();
}

void SpoolWriter::keep(std::string records) {
  tail_bytes_ += payload_of(records);
  tail_.push_back(std::move(records));
  while (tail_bytes_ > kTailBytes) drop_oldest();
}

void SpoolWriter::drop_oldest() {
  const std::size_t bytes = payload_of(tail_.front());
  missing_ += bytes;
  left_out_ += bytes;
  tail_bytes_ -= bytes;
  tail_.pop_front();
}

Result<void> SpoolParser::feed(std::string_view bytes, const Sink& sink) {
  const auto broken = [this](Error error) {
    broken_ = true;
    return error;
  };
  if (broken_) return Error{Code::kInvalid, "the spool is damaged before this"};
  buffer_.append(bytes);
  std::size_t at = 0;
  while (buffer_.size() - at >= kRecordHead) {
    const std::string_view left = std::string_view(buffer_).substr(at);
    const auto head = read_record_head(left);
    if (!head) return broken(head.error());
    const std::size_t size = kRecordHead + head->length;
    if (left.size() < size) break;
    if (!has_right_sum(*head, left)) return broken({Code::kInvalid, "a spool record with a wrong sum"});
    const std::string_view payload = left.substr(kRecordHead, head->length);
    at += size;
    const bool of_log = head->kind == RecordKind::kLog || head->kind == RecordKind::kLogPart;
    if (!of_log && !log_.empty()) return broken({Code::kInvalid, "a spool record inside a log line"});
    switch (head->kind) {
      case RecordKind::kStdout: sink(TaskOutput{OutputStream::kStdout, std::string(payload)}); break;
      case RecordKind::kStderr: sink(TaskOutput{OutputStream::kStderr, std::string(payload)}); break;
      case RecordKind::kGap:
        sink(TaskLog{
            Severity::kWarn,
            fmt::format("{} bytes of output are missing here: they came faster than they were taken, or the "
                        "disk was full",
                        decode_gap(payload))});
        break;
      case RecordKind::kLogPart:
        log_.append(payload);
        if (log_.size() > kLongestLog) return broken({Code::kLimit, "a log line in the spool is too long"});
        break;
      case RecordKind::kLog: {
        log_.append(payload);
        auto log = decode_log(std::exchange(log_, {}));
        if (!log) return broken(log.error());
        sink(std::move(*log));
        break;
      }
    }
  }
  buffer_.erase(0, at);
  return {};
}

namespace {

// Reads a file in large pieces, for record after record.
class RecordReader {
 public:
  RecordReader(int fd, std::uint64_t size) : fd_(fd), size_(size) {}

  // The record at `offset`, sum not checked; empty when none can be there whole.
  Result<std::string_view> record_at(std::uint64_t offset) {
    auto head_bytes = bytes_at(offset, kRecordHead);
    if (!head_bytes || head_bytes->empty()) return head_bytes;
    const auto head = read_record_head(*head_bytes);
    if (!head) return std::string_view();
    auto record = bytes_at(offset, kRecordHead + head->length);
    if (!record || record->empty() || has_right_sum(*head, *record)) return record;
    return std::string_view();
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{256} << 10;

  // Empty when the file ends before.
  Result<std::string_view> bytes_at(std::uint64_t offset, std::size_t count) {
    if (offset + count > size_) return std::string_view();
    if (offset < start_ || offset + count > start_ + piece_.size()) {
      start_ = offset;
      piece_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, size_ - offset)));
      std::size_t filled = 0;
      while (filled < piece_.size()) {
        const ssize_t got =
            ::pread(fd_, piece_.data() + filled, piece_.size() - filled, static_cast<off_t>(start_ + filled));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
          return Error{Code::kIo, fmt::format("cannot read the spool: {}", reason_of(got < 0 ? errno : EIO))};
        filled += static_cast<std::size_t>(got);
      }
    }
    return std::string_view(piece_).substr(static_cast<std::size_t>(offset - start_), count);
  }

  const int fd_;
  const std::uint64_t size_;
  std::uint64_t start_ = 0;
  std::string piece_;
};

// Of records one after the other from `offset` on.
Result<std::uint64_t> sound_from(RecordReader& reader, std::uint64_t offset) {
  for (;;) {
    auto record = reader.record_at(offset);
    if (!record) return record.error();
    if (record->empty()) return offset;
    offset += record->size();
  }
}

}  // namespace

Result<std::uint64_t> sound_length(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    return Error{Code::kIo, fmt::format("cannot read the spool: {}", reason_of(errno))};
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const off_t data = ::lseek(fd, 0, SEEK_DATA);
  if (data < 0) return size;  // all of it was taken, or it is empty
  RecordReader reader(fd, size);
  auto begin = static_cast<std::uint64_t>(data);
  if (begin > 0) {
    // The hole ends inside some record; the next one begins within the longest one's length.
    const std::uint64_t last = std::min(size, begin + kRecordHead + kMostPayload);
    for (;; ++begin) {
      // Nothing but the end of a record whose beginning was taken: it cannot be told wrong.
      if (begin >= last) return last == size ? size : static_cast<std::uint64_t>(data);
      auto record = reader.record_at(begin);
      if (!record) return record.error();
      if (!record->empty()) break;
    }
  }
  return sound_from(reader, begin);
}

}  // namespace sloth
