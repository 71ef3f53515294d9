// make_memory_link(): two ends of one connection inside a process, with the faults of a real one at hand.
//
// Thread-safe. Each direction delivers on a strand of its own: asynchronously, in order, one message at a
// time; messages wait until the receiving end is open()ed. close() delivers what was sent, then `closed` at
// both ends. Destroying an end is the worst a connection can do: what was sent and not delivered is lost, the
// other end gets `closed`, this one nothing more (a callback that is under way may still end afterwards).
//
//   LinkPair pair = make_memory_link(executor);
//   master.accept(Role::kAgent, std::move(pair.b));
//   pair.a->open({.received = ..., .closed = ...});
//   pair.wire->hold(LinkEnd::kB);   // nothing reaches b any more: half of a partition
//   pair.wire->cut();               // connection reset
#pragma once

#include <cstddef>
#include <memory>

#include "agent/link.h"
#include "runner/exec/executor.h"

namespace sloth {

enum class LinkEnd { kA, kB };

// What a test can do to a connection. Outlives both ends.
class MemoryWire {
 public:
  virtual ~MemoryWire() = default;
  // Nothing is delivered to `receiver` from now on, `closed` neither; it queues at the sender.
  virtual void hold(LinkEnd receiver) = 0;
  // Ends a hold.
  virtual void release(LinkEnd receiver) = 0;
  // Lets `messages` more through, then holds again. What it counts may come later.
  virtual void pass(LinkEnd receiver, std::size_t messages) = 0;
  // Both ends are closed with "connection reset", held or not; what was not delivered is lost.
  virtual void cut() = 0;
};

struct LinkPair {
  std::unique_ptr<Link> a;
  std::unique_ptr<Link> b;
  std::shared_ptr<MemoryWire> wire;
};

LinkPair make_memory_link(Executor& executor);

}  // namespace sloth
