#include "agent/spool_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/spool_reader.h"

namespace sloth {
namespace {

constexpr std::uint64_t kHole = std::uint64_t{1} << 20;  // holes end at multiples of this

std::uint64_t whole_holes(std::uint64_t offset) { return offset / kHole * kHole; }

}  // namespace

SpoolSender::SpoolSender(Errands& errands, std::string attempt, std::string path, std::uint64_t acked,
                         std::uint64_t anchor, Ports ports)
    : errands_(errands),
      attempt_(std::move(attempt)),
      path_(std::move(path)),
      ports_(std::move(ports)),
      base_(anchor),
      anchor_(anchor),
      acked_(acked),
      sent_(acked),
      walk_(anchor) {}

void SpoolSender::resume() {
  ++journey_;
  active_ = true;
  sent_ = acked_;
  walk_ = anchor_;
  under_way_.clear();
  pump();
}

void SpoolSender::pause() {
  active_ = false;
  ++journey_;
}

void SpoolSender::acknowledge(std::uint64_t offset) {
  if (!active_) return;
  if (offset < acked_) {
    rewind(offset);
    return;
  }
  acked_ = offset;
  while (!under_way_.empty() && under_way_.front() <= offset) {
    anchor_ = under_way_.front();
    under_way_.pop_front();
  }
  if (sent_ < offset) {
    // It has more than we knew: a link or an agent ended before its answer came.
    ++journey_;
    sent_ = offset;
    walk_ = anchor_;
    under_way_.clear();
  }
  give_back();
  pump();
}

void SpoolSender::rewind(std::uint64_t offset) {
  if (offset < base_) {
    // Nothing can help it: it gets no more than a window beyond what it once acknowledged.
    if (!std::exchange(complained_, true)) {
      ports_.note(fmt::format(
          "attempt {}: the master asks for output from byte {} on, which it had acknowledged and is "
          "gone here",
          attempt_, offset));
    }
    return;
  }
  ++journey_;
  anchor_ = walk_ = base_;
  acked_ = sent_ = offset;
  under_way_.clear();
  pump();
}

std::uint64_t SpoolSender::begin_end() {
  // What is being punched just now ends before this.
  measured_ = true;
  return anchor_;
}

void SpoolSender::set_end(std::uint64_t end) {
  end_ = end;
  measured_ = false;
  pump();
}

void SpoolSender::pump() {
  if (!active_) return;
  if (reading_) {
    again_ = true;
    return;
  }
  if (end_ && sent_ >= *end_) {
    ports_.all_sent();
    return;
  }
  const std::uint64_t under_way = sent_ - acked_;
  if (under_way >= kWindow) return;
  reading_ = true;
  again_ = false;
  errands_.run(
      weak_from_this(),
      [path = path_, walk = walk_, sent = sent_, most = std::min(kPart, kWindow - under_way)] {
        return read_spool(path, walk, sent, most);
      },
      [this, journey = journey_](SpoolSlice slice) {
        reading_ = false;
        if (journey != journey_) {
          pump();
          return;
        }
        if (!slice.bytes.empty()) {
          send_slice(std::move(slice.bytes));
        } else if (again_) {
          pump();
        } else if (!std::exchange(complained_, slice.damaged || !slice.error.empty()) && complained_) {
          ports_.note(fmt::format("attempt {}: its output cannot be read on from byte {}: {}", attempt_,
                                  sent_, slice.error.empty() ? "damaged" : slice.error));
        }
      });
}

void SpoolSender::send_slice(std::string bytes) {
  if (end_ && sent_ >= *end_) {
    pump();
    return;
  }
  if (end_ && bytes.size() > *end_ - sent_) bytes.resize(*end_ - sent_);
  const std::uint64_t end = sent_ + bytes.size();
  if (!ports_.send({attempt_, sent_, std::move(bytes)})) return;
  sent_ = walk_ = end;
  under_way_.push_back(end);
  pump();
}

void SpoolSender::give_back() {
  // Only below what is journalled: the next agent of this directory must find all from there on.
  if (keeping_ || measured_ || whole_holes(anchor_) <= whole_holes(base_)) return;
  keeping_ = true;
  const std::uint64_t anchor = anchor_;
  ports_.keep(acked_, anchor, [weak = weak_from_this(), anchor](bool kept) {
    const auto self = weak.lock();
    if (!self) return;
    self->keeping_ = false;
    // Asked for again in the meantime: it stays.
    if (!kept || anchor > self->acked_) return;
    const std::uint64_t before = std::exchange(self->base_, std::max(self->base_, anchor));
    self->errands_.run(
        weak,
        [path = self->path_, before, anchor] {
          punch_spool(path, whole_holes(before), whole_holes(anchor));
          return true;
        },
        [raw = self.get()](bool) { raw->give_back(); });
  });
}

}  // namespace sloth
