// FaultProxy: a stretch of bad network: listens on a unix socket, connects to another one for each who comes,
// and passes bytes on as badly as it is told.
//
// Thread-safe; it works on a thread of its own. What is asked for holds from now on, for connections that are
// there and for later ones, unless it says otherwise. It always lets in who comes: when nobody listens at the
// target it closes.
//
//   FaultProxy proxy(folder + "/sloth/master/socket", real);
//   proxy.cut_after(Way::kUp, 12'345);   // in the middle of whatever goes there then
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runner/base/mutex.h"

namespace sloth {

// From who dialled to who listens, and back.
enum class Way { kUp, kDown };

class FaultProxy {
 public:
  // Makes the folders of `listen`. Both paths are absolute.
  FaultProxy(const std::string& listen, std::string target);
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  // Once: after that many more bytes that way, the connection that carries the last of them is closed at both
  // ends; what else was in it is lost.
  void cut_after(Way way, std::uint64_t bytes);
  // All connections that there are.
  void cut();
  // Silence: nothing is taken or given on that way, the end of a connection neither, until resume(). Senders
  // feel it only when their buffers are full.
  void stall(Way way);
  void stall() { stall(Way::kUp), stall(Way::kDown); }
  void resume();
  // The connections that there are stay silent for ever, as if their peers had vanished; new ones are well.
  void forsake();
  // Each byte arrives that much later.
  void delay(Way way, std::chrono::microseconds by);
  // No write is larger than that; 0: as it comes.
  void slice(Way way, std::size_t bytes);
  // Bytes per second, shared by all connections; 0: no limit.
  void limit(Way way, std::uint64_t bytes_per_second);

  // Since the beginning, of all connections.
  [[nodiscard]] std::uint64_t passed(Way way) const;
  [[nodiscard]] int connections() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Faults {
    std::int64_t cut_in = -1;  // bytes; -1: never
    bool stalled = false;
    std::chrono::microseconds delay{0};
    std::size_t slice = 0;
    std::uint64_t rate = 0;
    double allowance = 0;  // bytes that the rate lets through now
    Time filled;           // when allowance was last added to
    std::uint64_t passed = 0;
  };
  struct Piece {
    std::string bytes;
    Time due;
  };
  struct Flow {
    int from = -1;
    int to = -1;
    std::deque<Piece> pieces;
    std::size_t held = 0;  // bytes in pieces
    bool ended = false;    // nothing comes any more
    bool shut = false;     // the other end was told so
  };
  struct Connection {
    Flow up;
    Flow down;
    bool forsaken = false;
    bool dead = false;
  };

  void wake() const;
  void work();
  void accept() REQUIRES(mutex_);
  void take(Flow& flow, const Faults& faults) REQUIRES(mutex_);
  // When it is to be called again, at the latest.
  Time give(Connection& connection, Flow& flow, Faults& faults, Time now) REQUIRES(mutex_);
  static void close(Connection& connection);

  const std::string target_;
  int listening_ = -1;
  int wake_ = -1;
  mutable Mutex mutex_;
  Faults up_ GUARDED_BY(mutex_);
  Faults down_ GUARDED_BY(mutex_);
  Faults& faults(Way way) REQUIRES(mutex_) { return way == Way::kUp ? up_ : down_; }
  std::vector<std::unique_ptr<Connection>> connections_ GUARDED_BY(mutex_);
  int count_ GUARDED_BY(mutex_) = 0;
  bool over_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sloth
