// Spool: the output of one attempt as one file of records, written by the attempt process, read and sent by
// its agent, kept by the master, taken apart by the run. Its offsets are the offsets of the wire.
//
//   record = length of payload (u32, little endian) | CRC-32 of kind and payload (u32) | kind (u8) | payload
//   kind: 1 stdout bytes, 2 stderr bytes, 3 log (encoded), 4 gap (count of bytes left out, u64),
//         5 a piece of a long log, which the next record continues
//
// A payload is at most 64 KiB, so one record fits any part of the wire; longer output is many records. Order
// is that of arrival at the writer.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "runner/base/mutex.h"
#include "runner/base/result.h"
#include "runner/task/event.h"

namespace sloth {

// Writes events of a task at the end of a file.
//
// Thread-safe. Blocks for the time of a write(2) into the page cache. More than `quota` bytes that nobody has
// taken yet (the file's blocks; the agent punches holes where it is acknowledged), or a full disk: output is
// left out and counted; the last 64 KiB of it are kept and written after the gap record when there is room
// again, or at the end.
class SpoolWriter final : public EventSink {
 public:
  // `fd` stays the caller's; O_APPEND.
  SpoolWriter(int fd, std::uint64_t quota);
  ~SpoolWriter() override;

  // TaskOutput and TaskLog; nothing else is written.
  void on_event(const Event& event) override EXCLUDES(mutex_);
  // Writes what is left of a gap; nothing comes after. The end of the spool. Bytes that were left out, 0 for
  // none.
  std::uint64_t finish() EXCLUDES(mutex_);

 private:
  void add(std::string records) REQUIRES(mutex_);
  bool room_for(std::size_t bytes) REQUIRES(mutex_);
  // False when nothing of it was written. A part that was not goes to rest_.
  bool write(std::string_view records) REQUIRES(mutex_);
  bool write_rest() REQUIRES(mutex_);
  bool catch_up(bool at_any_price) REQUIRES(mutex_);
  void keep(std::string records) REQUIRES(mutex_);
  void drop_oldest() REQUIRES(mutex_);

  const int fd_;
  const std::uint64_t quota_;
  Mutex mutex_;
  std::string rest_ GUARDED_BY(mutex_);              // of a record that a full disk took a part of
  std::size_t rest_payload_ GUARDED_BY(mutex_) = 0;  // of that whole record
  std::deque<std::string> tail_ GUARDED_BY(mutex_);  // what came last and is not written
  std::size_t tail_bytes_ GUARDED_BY(mutex_) = 0;
  std::uint64_t missing_ GUARDED_BY(mutex_) = 0;   // before the tail, not told in the spool yet
  std::uint64_t left_out_ GUARDED_BY(mutex_) = 0;  // in all
  std::uint64_t reserved_ GUARDED_BY(mutex_) = 0;  // the disk has room for the file up to here
  bool may_reserve_ GUARDED_BY(mutex_) = true;
  bool finished_ GUARDED_BY(mutex_) = false;
};

// Takes the byte stream of a spool apart, whatever the sizes of its parts.
//
// Not shared: one thread at a time.
class SpoolParser {
 public:
  // Gets TaskOutput, and TaskLog (also for a gap, in words).
  using Sink = std::function<void(decltype(Event::body))>;
  // kInvalid for a record that is none; nothing can be read after that.
  Result<void> feed(std::string_view bytes, const Sink& sink);
  // Bytes fed that belong to no complete record yet.
  [[nodiscard]] std::size_t pending() const { return buffer_.size(); }

 private:
  std::string buffer_;
  std::string log_;  // pieces of a long one
  bool broken_ = false;
};

// Encoded records, as many as it takes.
std::string spool_record(OutputStream stream, std::string_view bytes);
std::string spool_record(const TaskLog& log);

// The length of the longest prefix of the file that is whole records with right sums: what a crash left of
// it. Where holes were punched at its beginning, from the first whole record behind them on.
Result<std::uint64_t> sound_length(int fd);

}  // namespace sloth
