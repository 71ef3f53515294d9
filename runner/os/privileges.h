// become_user(): this process turns into another user's, for good.
//
// REQUIRES: one thread. On an error the process is neither one nor the other: it must end without running
// anything.
#pragma once

#include <sys/types.h>

#include <vector>

#include "runner/base/result.h"

namespace sloth {

// The system calls that it is made of; tests put failures in their place.
struct IdentityCalls {
  int (*set_groups)(std::size_t count, const gid_t* groups);
  int (*set_gid)(gid_t real, gid_t effective, gid_t saved);
  int (*set_uid)(uid_t real, uid_t effective, uid_t saved);
  int (*no_new_privileges)();
  // True when the process has any capability left.
  bool (*has_capabilities)();

  static IdentityCalls system();
};

// Groups, then group, then user (POS36-C), then checks that root cannot be had again by any of them, that no
// capability is left, and forbids programs with the set-user-id bit to bring one back. REQUIRES: uid is not
// 0.
Result<void> become_user(uid_t uid, gid_t gid, const std::vector<gid_t>& groups,
                         const IdentityCalls& calls = IdentityCalls::system());

}  // namespace sloth
