// EngineServices: what the engine needs from the process around it. Lent: everything outlives the engine.
//
// Each member says its own thread rule; `random` is called on the engine's strand only.
#pragma once

#include "runner/base/clock.h"
#include "runner/base/unique_function.h"
#include "runner/engine/operator_side.h"
#include "runner/exec/executor.h"
#include "runner/task/event.h"
#include "runner/task/task_runner.h"

namespace sloth {

struct EngineServices {
  Executor& executor;
  const Clock& clock;
  Placement& placement;
  OperatorSide& operators;
  EventSink& sink;
  UniqueFunction<double()> random;  // in [0, 1), for the jitter of retries
};

}  // namespace sloth
