// `sloth attempt`: one attempt as a process of its own. Started by an agent, never by people.
//
// Not shared: one thread at a time.
#pragma once

namespace sloth {

// The attempt that the open descriptors describe (agent/process_host.h). Does not return when it was started.
int run_attempt_command();

}  // namespace sloth
