// `sloth agent start`: this process as an agent, until it is told to go.
//
// Not shared: one thread at a time.
#pragma once

#include <string>

namespace sloth {

struct AgentStartFlags {
  std::string name;    // "": the host's
  std::string policy;  // file; "": /etc/sloth/agent.json when it is there
  std::string drain_timeout;
  bool quiet = false;
};

// Returns when it has drained or could not begin. SIGTERM or Ctrl-C once: takes no more work and leaves when all is
// done; twice: cancels what runs; three times: leaves at once, and what runs goes on without an agent.
int start_agent(const AgentStartFlags& flags);

// Where an agent writes what it says about itself.
std::string agent_log_path(const std::string& agents_directory, const std::string& name);

}  // namespace sloth
