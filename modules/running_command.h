// RunningCommand: a child process as the goroutines of one VM see it: its output goes to the task or to a
// reader, its end wakes who waits for it.
//
// Strand-confined: call only on its strand. Kept alive by its process; the VM side lets go with abandon(),
// after which the process tree is ended and nothing of the VM is touched any more. Output that nobody takes
// stops the child (about 1 MiB is held); what is captured is cut at a limit.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "modules/child.h"
#include "runner/base/mutex.h"
#include "runner/exec/strand.h"
#include "runner/goroutine/waker.h"
#include "runner/lua/host.h"

namespace sloth {

class RunningCommand : public std::enable_shared_from_this<RunningCommand> {
 public:
  struct Options {
    std::string shown;  // the command for messages
    SpawnOptions spawn;
    std::string input;
    Duration timeout{};
    Duration grace = std::chrono::seconds(10);        // after the timeout
    Duration cancel_grace = std::chrono::seconds(2);  // after cancel()
    bool stream = true;                               // output goes to the task as it comes
    bool capture = true;                              // output is kept for the result
    bool pull = false;                                // stdout goes to pull() instead of the task
    std::size_t capture_limit = 64u << 20;            // bytes per stream
  };

  struct Finish {
    ChildProcess::End end;
    std::string out;
    std::string err;
    bool truncated = false;    // capture_limit cut one of them
    bool not_started = false;  // never set here: a failed start reported as an end
  };

  // `host` until abandon() or the end.
  static Result<std::shared_ptr<RunningCommand>> start(const Strand& strand, Host& host, Options options);

  // Calls `at_end` with this when it is over, perhaps at once; never after abandon(). One waiter at a time.
  using AtEnd = UniqueFunction<void(const std::shared_ptr<RunningCommand>& self)>;
  void wait(AtEnd at_end);

  // Wakes with the next piece of stdout, or nil at its end. One reader at a time.
  void pull(Waker waker);

  // Nobody will pull() any more.
  void close_stdout();
  void cancel();
  void abandon();

  [[nodiscard]] const Options& options() const { return options_; }
  // REQUIRES: over, as in wait()'s call. Once.
  [[nodiscard]] Finish take_finish() { return std::move(finish_); }

 private:
  RunningCommand(const Strand& strand, Host& host, Options options)
      : strand_(strand), host_(&host), options_(std::move(options)) {}

  // On the reactor's thread.
  bool output(OutputStream stream, std::string_view bytes) EXCLUDES(mutex_);
  void ended(ChildProcess::End end) EXCLUDES(mutex_);

  void schedule() REQUIRES(mutex_);
  void drain() EXCLUDES(mutex_);
  void taken(std::size_t bytes) EXCLUDES(mutex_);
  void answer();
  void warn_of_survivors();

  const Strand strand_;
  Host* host_;
  Options options_;
  std::shared_ptr<ChildProcess> child_;
  AtEnd at_end_;
  Waker reader_;
  std::string pulled_;
  bool over_ = false;
  bool closed_ = false;

  // The reactor's until ended(), the strand's after.
  Finish finish_;

  Mutex mutex_;
  std::vector<std::pair<OutputStream, std::string>> queue_ GUARDED_BY(mutex_);
  std::size_t held_ GUARDED_BY(mutex_) = 0;  // bytes queued or waiting for a reader
  bool paused_ GUARDED_BY(mutex_) = false;
  bool scheduled_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
};

}  // namespace sloth
