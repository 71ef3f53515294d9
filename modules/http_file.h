// HttpFile: a body on its way to a file, written on the blocking lane, visible under its name only when
// whole.
//
// Confined to the reactor's thread, callbacks too. Memory is bounded: write() refuses while too much waits
// for the disk. Dropped before commit(): nothing is left behind.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runner/base/result.h"
#include "runner/base/unique_function.h"

namespace sloth {

class Executor;

class HttpFile : public std::enable_shared_from_this<HttpFile> {
 public:
  // `drained` is called when write() takes bytes again after it refused. `executor` outlives this.
  HttpFile(Executor& executor, std::string path, UniqueFunction<void()> drained);
  ~HttpFile();
  HttpFile(const HttpFile&) = delete;
  HttpFile& operator=(const HttpFile&) = delete;

  // False: nothing was taken; call again after `drained`. A failure of the disk shows in error().
  bool write(std::string_view data);

  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  // Writes the rest, renames the temporary file to the path, and reports the number of bytes. No write()
  // after this.
  void commit(UniqueFunction<void(Result<std::uint64_t>)> done);

  // Calls nobody back any more and removes the temporary file.
  void abandon();

 private:
  class Disk;
  void start_job();
  void job_done(std::optional<Error> error, bool last);

  Executor& executor_;
  const std::shared_ptr<Disk> disk_;  // of the one job under way
  UniqueFunction<void()> drained_;
  UniqueFunction<void(Result<std::uint64_t>)> done_;
  std::string pending_;
  std::optional<Error> error_;
  std::uint64_t taken_ = 0;
  bool busy_ = false;
  bool refused_ = false;
  bool committing_ = false;
  bool abandoned_ = false;
};

}  // namespace sloth
