// Reactor: one thread that waits for descriptors (Asio's epoll) and timers.
//
// Thread-safe. Handlers run on the reactor's thread and must be short and never block: read what is
// there, hand it over. A watch is level-triggered: the handler is called again while the descriptor
// stays ready, so it must consume, or close the watch.
//
//   auto watch = reactor.watch(fd, Reactor::kReadable, [this](unsigned ready) { drain(); });
//   ...
//   watch->close();   // then the caller may close(fd) in the `closed` callback
#pragma once

#include <memory>

#include "runner/base/clock.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"

namespace sloth {

class Reactor {
 public:
  static constexpr unsigned kReadable = 1;
  static constexpr unsigned kWritable = 2;

  // Registration of one descriptor. The descriptor stays the caller's: never closed here.
  class Watch {
   public:
    virtual ~Watch() = default;
    // Changes which directions are waited for (0: none for now). Any thread.
    virtual void set(unsigned directions) = 0;
    // Ends it. `closed` (may be empty) runs on the reactor thread once no handler of this watch runs
    // or will run; only then may the descriptor be closed. Idempotent: later calls only run `closed`.
    // Any thread, also from the handler itself.
    virtual void close(Job closed) = 0;
  };

  virtual ~Reactor() = default;

  // Calls `ready` with the directions that are ready (errors and hang-ups count as both asked for; each
  // direction may come in a call of its own), possibly before this returns: a handler that uses its own
  // watch asks for 0 directions here and for the rest with set(). One watch per descriptor. Dropping the
  // last handle closes the watch.
  // kIo when the kernel cannot wait for this descriptor (regular files), or after stop.
  virtual Result<std::shared_ptr<Watch>> watch(int fd, unsigned directions,
                                               UniqueFunction<void(unsigned)> ready) = 0;

  // Runs `job` on the reactor thread; false once stopped.
  virtual bool post(Job job) = 0;

  // Runs `job` on the reactor thread at `when`: for handlers' own short timers (an HTTP engine). The
  // job must check by itself whether it is still wanted. False once stopped.
  virtual bool post_at(TimePoint when, Job job) = 0;

  // True on the reactor's own thread.
  [[nodiscard]] virtual bool on_thread() const = 0;
};

}  // namespace sloth
