// SpoolStore: the spools that a master keeps, one file per attempt, appended to and read back in parts.
//
// Thread-safe. Answers come on the strand. Appends are on the disk (fdatasync, on the blocking lane) before
// they are told; while one file is being written its next parts gather, so a fast writer costs few syncs;
// several files are written at once. Nothing holds more of a spool in memory than the parts that wait for the
// disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/exec/strand.h"

namespace sloth {

class SpoolStore {
 public:
  using Size = UniqueFunction<void(Result<std::uint64_t>)>;
  using Bytes = UniqueFunction<void(Result<std::string>)>;

  // `strand`'s executor outlives this.
  SpoolStore(std::string directory, Strand strand);
  // Waits for what is being written; what waits behind it is dropped, told to nobody.
  ~SpoolStore();
  SpoolStore(const SpoolStore&) = delete;
  SpoolStore& operator=(const SpoolStore&) = delete;

  // Blocks, once, before all else: makes the directory (mode 0700) when missing.
  Result<void> prepare();
  // Blocks: the attempts that have a file which was last written before that time (wall clock).
  [[nodiscard]] Result<std::vector<std::string>> list(std::int64_t before_ms) const;

  // Nothing is told from here on. On the strand.
  void close();

  // Bytes in the file; 0 when there is none. The first blocks.
  [[nodiscard]] Result<std::uint64_t> size_now(const std::string& attempt) const;
  void size(const std::string& attempt, Size done);
  // Writes at `offset`, the end of the file as the caller knows it, and tells the new end once it is durable.
  // What a failed write left beyond `offset` is cut off first. kInvalid when the file is shorter than that.
  // After an error the caller goes back to what it knows to be durable; answers to what it had appended until
  // then mean nothing.
  void append(const std::string& attempt, std::uint64_t offset, std::string bytes, Size done);
  // Up to `limit` bytes from `offset` on; fewer only at the end of the file.
  void read(const std::string& attempt, std::uint64_t offset, std::size_t limit, Bytes done);
  void remove(std::vector<std::string> attempts);

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace sloth
