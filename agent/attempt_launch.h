// start_attempt(): an attempt's files, its workspace and its process, or none of them.
//
// Not shared: one thread at a time for one attempt. Blocks for some milliseconds.
#pragma once

#include <functional>
#include <string>

#include "agent/attempt_process.h"
#include "runner/base/result.h"
#include "runner/os/descriptor.h"

namespace sloth {

// What the attempt process finds open (process_host.h).
inline constexpr int kPlanDescriptor = 3;
inline constexpr int kContentDescriptor = 4;
inline constexpr int kSpoolDescriptor = 5;
inline constexpr int kResultDescriptor = 6;

struct StartedAttempt {
  ProcessName name;
  Descriptor pidfd;
};

// The files must not be there yet; before the process is started, `prepared` is called once they are. On an
// error all that was made is removed again. kLimit: "cannot start process: EAGAIN", no space, no descriptors.
Result<StartedAttempt> start_attempt(const std::string& program, const AttemptPlan& plan,
                                     const std::function<Result<void>()>& prepared);

// /proc/sys/kernel/random/boot_id
std::string boot_id();

}  // namespace sloth
