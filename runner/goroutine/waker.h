// Waker: the right to resume one suspended goroutine, once.
//
// Thread-safe; the first call wins, later ones do nothing. May outlive the scheduler and its VM: then nothing
// happens. Copies share the right.
#pragma once

#include <lua.hpp>
#include <memory>
#include <string>

#include "runner/base/unique_function.h"
#include "runner/base/value.h"

namespace sloth {

class WakeCell;

// Pushes the results of a waiting call and returns how many; runs on the strand, must not raise.
using Push = UniqueFunction<int(lua_State*)>;

class Waker {
 public:
  Waker() = default;
  explicit Waker(std::shared_ptr<WakeCell> cell) : cell_(std::move(cell)) {}

  // The waiting call returns what `push` pushes.
  void resolve(Push push) const;
  // ... these values.
  void resolve(Value::List values) const;
  // ... nil, message.
  void refuse(std::string message) const;
  // The waiting call raises `message` with the caller's position.
  void fail(std::string message) const;

  explicit operator bool() const { return cell_ != nullptr; }

 private:
  void wake(bool ok, Push push) const;
  std::shared_ptr<WakeCell> cell_;
};

}  // namespace sloth
