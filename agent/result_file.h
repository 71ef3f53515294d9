// The file in which an attempt process leaves its outcome: one record that is there whole, or not at all.
//
//   length of payload (u32, little endian) | CRC-32 of flags and payload (u32) | flags (u8) | encoded outcome
//
// Thread-safe: free functions. They block for a write to the disk.
#pragma once

#include <optional>
#include <string>

#include "runner/base/result.h"
#include "runner/task/outcome.h"

namespace sloth {

// An encoded outcome is at most this long, so that it fits one frame of the wire.
inline constexpr std::size_t kMostOutcomeBytes = std::size_t{3} << 20;

struct StoredResult {
  Outcome outcome;
  bool clean = false;  // no process of the attempt was left when it was written
};

// Takes room for a result of the usual size, so that a full disk does not swallow it. kLimit when there is
// none.
Result<void> reserve_result(int fd);

// Writes it, on the disk when this returns. An outcome that is too long, or for which the disk has no room,
// is stored as one that failed and says why.
Result<void> write_result(int fd, StoredResult result);

// Empty when the file holds no whole record, as after a crash.
Result<std::optional<StoredResult>> read_result(const std::string& path);

}  // namespace sloth
