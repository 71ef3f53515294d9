// ReadyQueue: a growing ring of goroutines, first in, first out.
//
// Strand-confined: call only on its strand. Owns nothing.
#pragma once

#include <cstddef>
#include <vector>

namespace sloth {

struct Goroutine;

class ReadyQueue {
 public:
  void push(Goroutine* g) {
    if (size_ == ring_.size()) grow();
    ring_[(first_ + size_++) & (ring_.size() - 1)] = g;
  }
  // Null when empty.
  Goroutine* pop() {
    if (size_ == 0) return nullptr;
    Goroutine* g = ring_[first_];
    first_ = (first_ + 1) & (ring_.size() - 1);
    // Starting over at the front keeps a short queue in the same few cache lines.
    if (--size_ == 0) first_ = 0;
    return g;
  }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  void grow() {
    std::vector<Goroutine*> larger(ring_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = ring_[(first_ + i) & (ring_.size() - 1)];
    ring_.swap(larger);
    first_ = 0;
  }

  std::vector<Goroutine*> ring_ = std::vector<Goroutine*>(64);
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace sloth
