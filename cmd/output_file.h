// OutputFile: stdout or stderr, written in order from many threads without any of them waiting for a slow
// reader (only once 8 MiB are queued).
//
// Thread-safe. A reader that has gone away (EPIPE) is no failure: what follows is dropped and the run goes
// on.
#pragma once

#include <string>
#include <string_view>

#include "runner/base/mutex.h"
#include "runner/exec/executor.h"

namespace sloth {

class OutputFile {
 public:
  // `fd` stays the caller's. The executor outlives this; it writes what the descriptor does not take at once.
  OutputFile(int fd, Executor& executor) : fd_(fd), executor_(executor) {}
  // flush()es.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view bytes) EXCLUDES(mutex_);
  // Waits until everything is written.
  void flush() EXCLUDES(mutex_);

 private:
  void drain() EXCLUDES(mutex_);
  // What could be written without waiting is taken off `bytes`.
  void write_now(std::string_view& bytes) REQUIRES(mutex_);

  const int fd_;
  Executor& executor_;
  Mutex mutex_;
  CondVar changed_;
  std::string queue_ GUARDED_BY(mutex_);
  bool draining_ GUARDED_BY(mutex_) = false;
  bool broken_ GUARDED_BY(mutex_) = false;
};

// Writes all of it, waiting as long as it takes; false when the reader is gone. For short texts before and
// after a run.
bool write_all(int fd, std::string_view bytes);

}  // namespace sloth
