// Errands: what a strand sends for and gets back: work that blocks, done on the blocking lane, and moments to
// come.
//
// Thread-safe. close() waits for the work under way, so that nothing touches the files afterwards. Every
// answer comes on the strand, and only as long as its `owner` lives.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "runner/base/clock.h"
#include "runner/exec/executor.h"
#include "runner/exec/gate.h"
#include "runner/exec/strand.h"

namespace sloth {

class Errands {
 public:
  explicit Errands(Strand strand) : strand_(std::move(strand)), gate_(std::make_shared<Gate>()) {}
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  // `work` (on the blocking lane) gives a value, `then(value)` gets it. Nothing happens once closed.
  template <class Work, class Then>
  void run(std::weak_ptr<const void> owner, Work work, Then then) {
    auto pass = gate_->enter();
    if (!pass) return;
    strand_.executor().post_blocking([strand = strand_, gate = gate_, pass = std::move(*pass),
                                      owner = std::move(owner), work = std::move(work),
                                      then = std::move(then)]() mutable {
      auto value = work();
      strand.post([gate = std::move(gate), owner = std::move(owner), then = std::move(then),
                   value = std::move(value)]() mutable {
        if (const auto alive = owner.lock()) then(std::move(value));
      });
    });
  }

  template <class Then>
  void after(Duration delay, std::weak_ptr<const void> owner, Then then) {
    // By the real clock: timers know no other.
    strand_.executor().run_at(std::chrono::steady_clock::now() + delay,
                              [strand = strand_, owner = std::move(owner), then = std::move(then)]() mutable {
                                strand.post([owner = std::move(owner), then = std::move(then)]() mutable {
                                  if (const auto alive = owner.lock()) then();
                                });
                              });
  }

  void close() { gate_->close(); }
  [[nodiscard]] const Strand& strand() const { return strand_; }

 private:
  const Strand strand_;
  const std::shared_ptr<Gate> gate_;
};

}  // namespace sloth
