#include "runner/engine/retry.h"

#include <algorithm>
#include <cmath>

namespace sloth {
namespace {

double factor_of(RetryPolicy::Strategy strategy, int failed) {
  switch (strategy) {
    case RetryPolicy::Strategy::kFixed: return 1;
    case RetryPolicy::Strategy::kLinear: return failed;
    case RetryPolicy::Strategy::kExponential: return std::ldexp(1.0, failed - 1);
  }
  return 1;
}

}  // namespace

Duration retry_delay(const RetryPolicy& policy, int failed, double random) {
  // In doubles, because 2^n times a delay leaves 64 bits long before it leaves a double.
  const double raw =
      static_cast<double>(policy.delay.count()) * factor_of(policy.strategy, std::max(failed, 1));
  double capped = std::min(raw, static_cast<double>(policy.max_delay.count()));
  if (policy.jitter) capped *= 0.5 + random / 2;
  return Duration(static_cast<Duration::rep>(capped));
}

}  // namespace sloth
