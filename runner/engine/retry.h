// Back-off: how long to wait before the next attempt of a task.
//
// Thread-safe: pure functions.
#pragma once

#include "runner/base/clock.h"
#include "runner/task/task.h"

namespace sloth {

// The pause after `failed` attempts (1 or more): `delay` each time (fixed), times 1, 2, 3 ... (linear), times
// 1, 2, 4 ... (exponential); never above max_delay. With jitter the result is multiplied by a factor in [0.5,
// 1), taken from `random` in [0, 1): many tasks that failed together then do not come back together.
Duration retry_delay(const RetryPolicy& policy, int failed, double random);

}  // namespace sloth
