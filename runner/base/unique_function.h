// UniqueFunction<R(Args...)>: a callable that is moved, never copied, so it may own what it needs.
//
// Not shared: one thread at a time. Small callables (up to four words, nothrow-movable) are stored
// inside; larger ones on the heap. Job is the unit of work of the executor.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "runner/base/check.h"

namespace sloth {

template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}  // NOLINT: implicit on purpose

  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
                                              std::is_invocable_r_v<R, std::decay_t<F>&, Args...>>>
  UniqueFunction(F&& f) {  // NOLINT: implicit on purpose
    using Callable = std::decay_t<F>;
    if constexpr (kFits<Callable>) {
      ::new (static_cast<void*>(&storage_)) Callable(std::forward<F>(f));
      table_ = &kInline<Callable>;
    } else {
      ::new (static_cast<void*>(&storage_)) Callable*(new Callable(std::forward<F>(f)));
      table_ = &kHeap<Callable>;
    }
  }

  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  UniqueFunction(const UniqueFunction&) = delete;
  UniqueFunction& operator=(const UniqueFunction&) = delete;
  ~UniqueFunction() { reset(); }

  explicit operator bool() const { return table_ != nullptr; }

  // REQUIRES: holds a callable.
  R operator()(Args... args) {
    SLOTH_CHECK(table_ != nullptr);
    return table_->call(&storage_, std::forward<Args>(args)...);
  }

 private:
  static constexpr std::size_t kSize = 4 * sizeof(void*);
  struct Table {
    R (*call)(void*, Args&&...);
    void (*move)(void* from, void* to) noexcept;
    void (*destroy)(void*) noexcept;
  };

  template <class F>
  static constexpr bool kFits = sizeof(F) <= kSize && alignof(F) <= alignof(std::max_align_t) &&
                                std::is_nothrow_move_constructible_v<F>;

  template <class F>
  static constexpr Table kInline = {
      [](void* at, Args&&... args) -> R { return (*static_cast<F*>(at))(std::forward<Args>(args)...); },
      [](void* from, void* to) noexcept {
        ::new (to) F(std::move(*static_cast<F*>(from)));
        static_cast<F*>(from)->~F();
      },
      [](void* at) noexcept { static_cast<F*>(at)->~F(); }};

  template <class F>
  static constexpr Table kHeap = {
      [](void* at, Args&&... args) -> R { return (**static_cast<F**>(at))(std::forward<Args>(args)...); },
      [](void* from, void* to) noexcept { ::new (to) F*(*static_cast<F**>(from)); },
      [](void* at) noexcept { delete *static_cast<F**>(at); }};

  void take(UniqueFunction& other) noexcept {
    if (other.table_ == nullptr) return;
    other.table_->move(&other.storage_, &storage_);
    table_ = std::exchange(other.table_, nullptr);
  }
  void reset() noexcept {
    if (table_ != nullptr) std::exchange(table_, nullptr)->destroy(&storage_);
  }

  alignas(std::max_align_t) std::byte storage_[kSize];
  const Table* table_ = nullptr;
};

using Job = UniqueFunction<void()>;

}  // namespace sloth
