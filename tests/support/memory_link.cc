#include "tests/support/memory_link.h"

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "runner/base/mutex.h"
#include "runner/exec/strand.h"

namespace sloth {
namespace {

constexpr std::size_t kFree = std::numeric_limits<std::size_t>::max();

// About what it would be on a wire.
std::size_t size_of(const Message& message) {
  constexpr std::size_t kFrame = 32;
  if (const auto* part = std::get_if<ContentPart>(&message)) return kFrame + part->bytes.size();
  if (const auto* part = std::get_if<SpoolPart>(&message)) return kFrame + part->bytes.size();
  if (const auto* result = std::get_if<AttemptResult>(&message)) return kFrame + result->outcome.size();
  if (const auto* offer = std::get_if<Offer>(&message)) return kFrame + offer->request.size();
  if (const auto* submit = std::get_if<Submit>(&message)) return kFrame + submit->request.size();
  return kFrame;
}

class Wire final : public MemoryWire, public std::enable_shared_from_this<Wire> {
 public:
  explicit Wire(Executor& executor) : lanes_{Lane{Strand(executor)}, Lane{Strand(executor)}} {}

  void hold(LinkEnd receiver) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    to(receiver).allowed = 0;
  }
  void release(LinkEnd receiver) override { allow(receiver, kFree); }
  void pass(LinkEnd receiver, std::size_t messages) override { allow(receiver, messages); }

  void cut() override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    for (Lane& lane : lanes_) {
      lane.queue.clear();
      lane.bytes = 0;
      if (!lane.ends) lane.reason = "connection reset";
      lane.ends = true;
      lane.allowed = kFree;
      deliver(lane);
    }
  }

  void open(LinkEnd end, Link::Events events) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Lane& lane = to(end);
    lane.events = std::make_shared<Link::Events>(std::move(events));
    deliver(lane);
  }

  void send(LinkEnd sender, Message message) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Lane& lane = from(sender);
    if (lane.ends || to(sender).ends) return;
    lane.bytes += size_of(message);
    auto place = lane.queue.end();
    if (std::holds_alternative<Heartbeat>(message)) {
      place = lane.queue.begin();
      while (place != lane.queue.end() && std::holds_alternative<Heartbeat>(*place)) ++place;
    }
    lane.queue.insert(place, std::move(message));
    deliver(lane);
  }

  std::size_t queued_bytes(LinkEnd sender) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return from(sender).bytes;
  }

  void close(LinkEnd end) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Lane& lane = from(end);
    if (lane.ends) return;
    lane.ends = true;
    lane.reason = "closed by the other side";
    deliver(lane);
  }

  void drop(LinkEnd end) EXCLUDES(mutex_) {
    std::shared_ptr<Link::Events> events;
    MutexLock lock(mutex_);
    events.swap(to(end).events);
    to(end).gone = true;
    to(end).queue.clear();
    to(end).bytes = 0;
    Lane& lane = from(end);
    lane.queue.clear();
    lane.bytes = 0;
    if (!lane.ends) lane.reason = "the other side is gone";
    lane.ends = true;
    deliver(lane);
  }

 private:
  // One direction.
  struct Lane {
    explicit Lane(Strand home) : strand(std::move(home)) {}
    Strand strand;
    std::deque<Message> queue;
    std::size_t bytes = 0;
    std::shared_ptr<Link::Events> events;  // of the receiver
    std::size_t allowed = kFree;
    bool scheduled = false;
    bool ends = false;  // nothing more will be sent; `closed` follows the queue
    bool told = false;  // `closed` was delivered
    bool gone = false;  // the receiver is destroyed
    std::string reason;
  };

  Lane& to(LinkEnd end) REQUIRES(mutex_) { return lanes_[end == LinkEnd::kA ? 0 : 1]; }
  Lane& from(LinkEnd end) REQUIRES(mutex_) { return lanes_[end == LinkEnd::kA ? 1 : 0]; }

  void allow(LinkEnd receiver, std::size_t messages) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    to(receiver).allowed = messages;
    deliver(to(receiver));
  }

  static bool ready(const Lane& lane) {
    if (!lane.events || lane.told || lane.allowed == 0) return false;
    return !lane.queue.empty() || lane.ends;
  }

  void deliver(Lane& lane) REQUIRES(mutex_) {
    if (lane.scheduled || !ready(lane)) return;
    lane.scheduled = lane.strand.post([self = shared_from_this(), &lane] { self->deliver_one(lane); });
  }

  void deliver_one(Lane& lane) EXCLUDES(mutex_) {
    std::shared_ptr<Link::Events> events;
    Message message;
    bool last = false;
    std::string reason;
    {
      MutexLock lock(mutex_);
      lane.scheduled = false;
      if (!ready(lane)) return;
      events = lane.events;
      last = lane.queue.empty();
      if (last) {
        lane.told = true;
        reason = lane.reason;
        end_other(lane);
      } else {
        message = std::move(lane.queue.front());
        lane.queue.pop_front();
        lane.bytes -= size_of(message);
        if (lane.allowed != kFree) --lane.allowed;
        deliver(lane);
      }
    }
    if (last) {
      events->closed(std::move(reason));
    } else {
      events->received(std::move(message));
    }
  }

  // This direction has ended: so does the other, at the one who ended this with no reason.
  void end_other(const Lane& lane) REQUIRES(mutex_) {
    Lane& other = &lane == &lanes_[0] ? lanes_[1] : lanes_[0];
    if (other.ends) return;
    other.ends = true;
    other.queue.clear();
    other.bytes = 0;
    other.reason = "";
    other.allowed = kFree;
    deliver(other);
  }

  Mutex mutex_;
  std::array<Lane, 2> lanes_;  // to a, to b
};

class End final : public Link {
 public:
  End(std::shared_ptr<Wire> wire, LinkEnd end) : wire_(std::move(wire)), end_(end) {}
  ~End() override { wire_->drop(end_); }
  void open(Events events) override { wire_->open(end_, std::move(events)); }
  void send(Message message) override { wire_->send(end_, std::move(message)); }
  [[nodiscard]] std::size_t queued_bytes() const override { return wire_->queued_bytes(end_); }
  void close() override { wire_->close(end_); }

 private:
  const std::shared_ptr<Wire> wire_;
  const LinkEnd end_;
};

}  // namespace

LinkPair make_memory_link(Executor& executor) {
  auto wire = std::make_shared<Wire>(executor);
  return {std::make_unique<End>(wire, LinkEnd::kA), std::make_unique<End>(wire, LinkEnd::kB), wire};
}

}  // namespace sloth
