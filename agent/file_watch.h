// FileWatch: tells when files are written to: one inotify descriptor for any number of them.
//
// Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runner/base/mutex.h"
#include "runner/base/result.h"
#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"

namespace sloth {

class FileWatch {
 public:
  // The executor outlives this.
  explicit FileWatch(Executor& executor);
  // No call begins any more.
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // Calls `written` on the reactor's thread after each write, several writes may be one call; must be quick.
  // One watch per file. kLimit when the system has no more of them. The number is for remove().
  Result<int> add(const std::string& path, std::function<void()> written) EXCLUDES(mutex_);
  // A call that is under way may still end after this.
  void remove(int number);

 private:
  struct State;
  Result<std::shared_ptr<State>> opened() EXCLUDES(mutex_);

  Executor& executor_;
  Mutex mutex_;
  std::shared_ptr<State> state_ GUARDED_BY(mutex_);
  std::shared_ptr<Reactor::Watch> watch_ GUARDED_BY(mutex_);
};

}  // namespace sloth
