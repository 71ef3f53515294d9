#include "runner/engine/retry.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

RetryPolicy policy(RetryPolicy::Strategy strategy) {
  RetryPolicy policy;
  policy.extra_attempts = 10;
  policy.strategy = strategy;
  policy.delay = seconds(1);
  policy.max_delay = seconds(10);
  policy.jitter = false;
  return policy;
}

TEST_CASE("fixed back-off always waits the delay") {
  const auto fixed = policy(RetryPolicy::Strategy::kFixed);
  CHECK(retry_delay(fixed, 1, 0) == seconds(1));
  CHECK(retry_delay(fixed, 9, 0) == seconds(1));
}

TEST_CASE("linear back-off grows by the delay and stops at the maximum") {
  const auto linear = policy(RetryPolicy::Strategy::kLinear);
  CHECK(retry_delay(linear, 1, 0) == seconds(1));
  CHECK(retry_delay(linear, 3, 0) == seconds(3));
  CHECK(retry_delay(linear, 50, 0) == seconds(10));
}

TEST_CASE("exponential back-off doubles and stops at the maximum, however many attempts failed") {
  const auto exponential = policy(RetryPolicy::Strategy::kExponential);
  CHECK(retry_delay(exponential, 1, 0) == seconds(1));
  CHECK(retry_delay(exponential, 4, 0) == seconds(8));
  CHECK(retry_delay(exponential, 5, 0) == seconds(10));
  CHECK(retry_delay(exponential, 100000, 0) == seconds(10));
}

TEST_CASE("jitter takes between half and all of the delay") {
  auto fixed = policy(RetryPolicy::Strategy::kFixed);
  fixed.jitter = true;
  CHECK(retry_delay(fixed, 1, 0) == milliseconds(500));
  CHECK(retry_delay(fixed, 1, 0.5) == milliseconds(750));
  CHECK(retry_delay(fixed, 1, 0.999) < seconds(1));
}

}  // namespace
}  // namespace sloth
