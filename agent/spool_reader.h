// Reading the spool of an attempt while it grows: whole records with right sums only, a bounded piece at a
// time.
//
// Thread-safe: free functions. They block: call them on the blocking lane. An `anchor` is an offset where a
// record begins; what lies before it may be a hole by now.
#pragma once

#include <cstdint>
#include <string>

namespace sloth {

struct SpoolSlice {
  std::string bytes;  // from where it was asked for to the end of a record; empty: no whole record there yet
  bool damaged = false;  // what follows can be no record
  std::string error;     // the file could not be read, in words
};
// At most `most` bytes from `from` on. REQUIRES: anchor <= from.
SpoolSlice read_spool(const std::string& path, std::uint64_t anchor, std::uint64_t from, std::size_t most);

struct SpoolEnd {
  std::uint64_t sound = 0;  // end of the last sound record
  std::uint64_t size = 0;   // of the file
};
// From `anchor` on. A file that is not there is empty.
SpoolEnd measure_spool(const std::string& path, std::uint64_t anchor);

// Gives the disk blocks of [from, to) back; the size stays. Where the file system cannot, nothing happens.
void punch_spool(const std::string& path, std::uint64_t from, std::uint64_t to);

}  // namespace sloth
