#include "runner/os/privileges.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runner/base/check.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

Error failed(const char* step) {
  return Error{Code::kRefused, fmt::format("cannot become another user: {}: {}", step, reason_of(errno))};
}

int forbid_new_privileges() { return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

bool any_capability() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return true;
  return (data[0].effective | data[0].permitted | data[1].effective | data[1].permitted) != 0;
}

}  // namespace

IdentityCalls IdentityCalls::system() {
  return {.set_groups = ::setgroups,
          .set_gid = ::setresgid,
          .set_uid = ::setresuid,
          .no_new_privileges = forbid_new_privileges,
          .has_capabilities = any_capability};
}

Result<void> become_user(uid_t uid, gid_t gid, const std::vector<gid_t>& groups, const IdentityCalls& calls) {
  SLOTH_CHECK(uid != 0);
  if (calls.set_groups(groups.size(), groups.data()) != 0) return failed("setgroups");
  if (calls.set_gid(gid, gid, gid) != 0) return failed("setresgid");
  if (calls.set_uid(uid, uid, uid) != 0) return failed("setresuid");
  const gid_t root_group = 0;
  if (calls.set_uid(0, 0, 0) == 0 || calls.set_uid(static_cast<uid_t>(-1), 0, static_cast<uid_t>(-1)) == 0 ||
      calls.set_groups(1, &root_group) == 0 || (gid != 0 && calls.set_gid(0, 0, 0) == 0) ||
      calls.has_capabilities()) {
    return Error{Code::kRefused, "cannot become another user: root's rights can be had again afterwards"};
  }
  if (calls.no_new_privileges() != 0) return failed("PR_SET_NO_NEW_PRIVS");
  return {};
}

}  // namespace sloth
