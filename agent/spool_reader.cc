#include "agent/spool_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "agent/spool_record.h"
#include "runner/os/descriptor.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

Descriptor open_spool(const std::string& path) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
}

// What is there now, at most `most` bytes; errno through `error`.
std::string read_at(int file, std::uint64_t from, std::size_t most, int& error) {
  std::string bytes(most, '\0');
  std::size_t have = 0;
  while (have < most) {
    const ssize_t count = ::pread(file, bytes.data() + have, most - have, static_cast<off_t>(from + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) error = errno;
    if (count <= 0) break;
    have += static_cast<std::size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

struct Walk {
  std::size_t end = 0;  // of the last sound record
  bool damaged = false;
};

// Over the records at the beginning of `bytes`, to the last that ends at or before `most`.
Walk walk_records(std::string_view bytes, std::size_t most) {
  Walk walk;
  while (bytes.size() - walk.end >= kRecordHead) {
    const std::string_view rest = bytes.substr(walk.end);
    const auto head = read_record_head(rest);
    if (!head) {
      walk.damaged = true;
      return walk;
    }
    const std::size_t length = kRecordHead + head->length;
    if (length > rest.size() || walk.end + length > most) return walk;
    if (!has_right_sum(*head, rest.substr(0, length))) {
      walk.damaged = true;
      return walk;
    }
    walk.end += length;
  }
  return walk;
}

}  // namespace

SpoolSlice read_spool(const std::string& path, std::uint64_t anchor, std::uint64_t from, std::size_t most) {
  SpoolSlice slice;
  const Descriptor file = open_spool(path);
  if (!file.open()) {
    if (errno != ENOENT) slice.error = path_error("read", path, errno).message;
    return slice;
  }
  int error = 0;
  while (anchor < from) {
    const std::string skipped = read_at(file.get(), anchor, kChunk, error);
    // The record that holds `from` is read again below, with the rest.
    const Walk walk = walk_records(skipped, from - anchor);
    slice.damaged = walk.damaged;
    if (walk.end == 0) break;
    anchor += walk.end;
  }
  const std::size_t before = from - anchor;
  const std::string bytes = read_at(file.get(), anchor, before + most, error);
  if (error != 0) slice.error = path_error("read", path, error).message;
  const Walk walk = walk_records(bytes, bytes.size());
  slice.damaged = walk.damaged && walk.end <= before;
  if (walk.end > before) slice.bytes = bytes.substr(before, walk.end - before);
  return slice;
}

SpoolEnd measure_spool(const std::string& path, std::uint64_t anchor) {
  SpoolEnd end{anchor, anchor};
  const Descriptor file = open_spool(path);
  struct stat info {};
  if (!file.open() || ::fstat(file.get(), &info) != 0) return end;
  end.size = std::max(anchor, static_cast<std::uint64_t>(info.st_size));
  for (;;) {
    int error = 0;
    const std::string bytes = read_at(file.get(), end.sound, kChunk, error);
    const Walk walk = walk_records(bytes, bytes.size());
    end.sound += walk.end;
    if (walk.end == 0 || walk.damaged) return end;
  }
}

void punch_spool(const std::string& path, std::uint64_t from, std::uint64_t to) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.open() || to <= from) return;
  static_cast<void>(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                static_cast<off_t>(from), static_cast<off_t>(to - from)));
}

}  // namespace sloth
