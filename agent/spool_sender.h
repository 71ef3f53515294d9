// SpoolSender: brings the spool of one attempt to the master: at most 1 MiB under way, none of it held in
// memory.
//
// Strand-confined: call only on its strand. Reads on the blocking lane, whole records only, so that every
// part ends where a record does. What the master has acknowledged is journalled, then its disk blocks are
// given back.
//
//   file:   |== hole ==|-- acknowledged --|-- under way --|-- not read yet --|
//           0        base (journalled)  acked           sent               end
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/errands.h"
#include "agent/message.h"
#include "runner/base/unique_function.h"

namespace sloth {

class SpoolSender : public std::enable_shared_from_this<SpoolSender> {
 public:
  struct Ports {
    // False: the link has enough of it now, or is none; resume() or a later try comes.
    std::function<bool(SpoolPart)> send;
    // Makes both durable, then calls `kept` (true: done).
    std::function<void(std::uint64_t acked, std::uint64_t anchor, UniqueFunction<void(bool)> kept)> keep;
    // Every byte up to the end was sent on this link; again after each rewind.
    std::function<void()> all_sent;
    std::function<void(std::string)> note;
  };

  // `acked` and `anchor` as journalled: a record begins at `anchor`, which is not above `acked`.
  SpoolSender(Errands& errands, std::string attempt, std::string path, std::uint64_t acked,
              std::uint64_t anchor, Ports ports);

  // A link is there: from the acknowledged offset on.
  void resume();
  void pause();
  // There may be more in the file.
  void grew() { pump(); }
  // From the master. Lower than before: it wants what follows again.
  void acknowledge(std::uint64_t offset);
  // Its end is being measured, from the anchor that this returns: until set_end() no block from there on is
  // given back.
  std::uint64_t begin_end();
  // Nothing is written any more, and this is where it ends.
  void set_end(std::uint64_t end);

  [[nodiscard]] bool all_acknowledged() const { return end_ && acked_ >= *end_; }

  static constexpr std::uint64_t kWindow = std::uint64_t{1} << 20;
  static constexpr std::uint64_t kPart = std::uint64_t{256} << 10;

 private:
  void pump();
  void send_slice(std::string bytes);
  void rewind(std::uint64_t offset);
  void give_back();

  Errands& errands_;
  const std::string attempt_;
  const std::string path_;
  const Ports ports_;
  std::uint64_t base_;    // journalled anchor; below it there may be holes
  std::uint64_t anchor_;  // record boundary at or before acked_
  std::uint64_t acked_;
  std::uint64_t sent_;
  std::uint64_t walk_;                   // record boundary at or before sent_
  std::deque<std::uint64_t> under_way_;  // ends of the parts behind acked_
  std::optional<std::uint64_t> end_;
  std::uint64_t journey_ = 0;  // grows when what is being read is not wanted any more
  bool active_ = false;
  bool reading_ = false;
  bool again_ = false;  // the file grew while it was read
  bool keeping_ = false;
  bool measured_ = false;  // somebody reads from an anchor of the past
  bool complained_ = false;
};

}  // namespace sloth
