// Result<T>: a value, or an Error that says what was wrong in words a user can act on.
//
// Not shared: one thread at a time. Expected failure (bad input, the machine, the network) is
// returned this way; exceptions are for the four edges named in docs/architecture.md.
//
//   Result<int> parse(std::string_view text);
//   auto port = parse(text);
//   if (!port) return port.error().in("read config");
//   use(*port);
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "runner/base/check.h"

namespace sloth {

enum class Code {
  kInvalid,      // the input is wrong; trying again cannot help
  kNotFound,     // what was named does not exist
  kRefused,      // a rule or permission says no
  kUnavailable,  // could not be reached now
  kTimeout,      // a limit in time was reached
  kCancelled,    // somebody asked for the end
  kIo,           // the operating system reported an error
  kLimit,        // a limit other than time was reached
};

struct Error {
  Code code = Code::kInvalid;
  std::string message;

  // The same error with one phrase of context put before it: "load tasks.lua: no such file".
  [[nodiscard]] Error in(std::string_view context) const {
    return Error{code, std::string(context) + ": " + message};
  }

  bool operator==(const Error&) const = default;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}       // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}   // NOLINT: implicit on purpose

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok().
  T& operator*() & { return value(); }
  const T& operator*() const& { return const_cast<Result*>(this)->value(); }
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &const_cast<Result*>(this)->value(); }

  // REQUIRES: !ok().
  [[nodiscard]] const Error& error() const {
    SLOTH_CHECK(!ok());
    return std::get<1>(state_);
  }

 private:
  T& value() {
    SLOTH_CHECK(ok());
    return std::get<0>(state_);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }

  // REQUIRES: !ok().
  [[nodiscard]] const Error& error() const {
    SLOTH_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace sloth
