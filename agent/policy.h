// AgentPolicy: what this agent lets others do, from a file on its own host that no message can change.
//
// A value. The file is JSON; every key is optional, an unknown one is an error:
//   { "max_attempts": 4, "users": ["deploy"], "default_user": "nobody",
//     "memory": "512MiB", "cpu": "1h", "processes": 512, "files": 1024, "output": "4GiB", "wall": "24h" }
// It must belong to root or to the agent's user and be writable by nobody else, nor may its directory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/result.h"

namespace sloth {

// Of one attempt. All have defaults; each is named in the outcome when it ends the attempt.
struct AttemptLimits {
  std::uint64_t memory = std::uint64_t{2} << 30;  // bytes of the VM
  Duration cpu = std::chrono::hours(24);          // of the attempt process itself
  std::uint64_t processes = 4096;                 // of its user
  std::uint64_t files = 65536;                    // open descriptors
  std::uint64_t output = std::uint64_t{2} << 30;  // bytes of spool that nobody has taken yet
  Duration wall = std::chrono::hours(24 * 30);    // when the task has no timeout
};

// Whom an attempt runs as. `name` is empty when that is the agent's own user.
struct AttemptAccount {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
};

struct AgentPolicy {
  int max_attempts = 0;                 // at once; 0: four per core
  std::vector<std::string> users;       // that a task may name; only root can switch
  std::string default_user = "nobody";  // of an agent that is root
  AttemptLimits limits;

  // The file's; defaults when it is not there. kInvalid with file, key and cure; kRefused for a file that
  // others may write (its mode and owner are shown).
  static Result<AgentPolicy> load(const std::string& path);

  // For `user` as the task asks ("" : no wish). kRefused: unknown, neither listed nor the default, not a name
  // ("#0", "-u"), or the agent is not root and it is not the agent's own. An agent that is root never runs as
  // root unless "root" is listed.
  [[nodiscard]] Result<AttemptAccount> account(const std::string& user) const;
};

}  // namespace sloth
