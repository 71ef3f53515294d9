// Link: one connection, messages both ways in order. Dialer: where connections come from.
//
// Thread-safe. Three implementations: over gRPC (grpc_link), in memory for tests (memory_link), and a scripted faulty
// one around another (tests/support). Nothing here says who dialled.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "agent/message.h"

namespace sloth {

class Link {
 public:
  // Called one at a time, in order, from any thread; must not block.
  struct Events {
    std::function<void(Message)> received;
    // Once, last. `reason` is for people, "" when this side closed it.
    std::function<void(std::string reason)> closed;
  };

  virtual ~Link() = default;
  // Begins to deliver; once, before anything else.
  virtual void open(Events events) = 0;
  // Never blocks; what is queued goes out in order, Heartbeat before all others. Dropped once closed.
  virtual void send(Message message) = 0;
  // Bytes sent here and not yet handed to the network. A sender of bulk stays below a bound of its own.
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  // Sends what is queued, then ends; `closed` follows. Idempotent.
  virtual void close() = 0;
};

// Who is at the other end: decided when the connection is made, never by what it says.
enum class Role { kAgent, kRun };

// Gets each connection that was let in.
using AcceptLink = std::function<void(Role, std::unique_ptr<Link>)>;

class Dialer {
 public:
  virtual ~Dialer() = default;
  // Returns at once; a connection that cannot be made is told by its `closed`.
  virtual std::unique_ptr<Link> dial(Role role) = 0;
};

}  // namespace sloth
