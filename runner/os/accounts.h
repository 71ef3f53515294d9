// Accounts: users and groups of /etc/passwd and /etc/group.
//
// Thread-safe: free functions that read files. Only these files: a static program cannot load what
// nsswitch.conf names, and the C library's look-up would try.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"

namespace sloth {

struct UserAccount {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
};

// [A-Za-z_][A-Za-z0-9._-]*, at most 32 long: no number, no option, nothing a shell or sudo would read in a
// way of its own.
bool is_user_name(std::string_view name);

// kRefused for what is no name; kNotFound with the nearest name.
Result<UserAccount> find_user(const std::string& name, const std::string& passwd = "/etc/passwd");
Result<UserAccount> find_user(uid_t uid, const std::string& passwd = "/etc/passwd");

// `first` and every group that lists `user`, without doubles.
Result<std::vector<gid_t>> groups_of(const std::string& user, gid_t first,
                                     const std::string& group = "/etc/group");

}  // namespace sloth
