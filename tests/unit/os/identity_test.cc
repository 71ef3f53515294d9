#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "runner/os/accounts.h"
#include "runner/os/privileges.h"
#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

// Which of the calls fails, and which were made; the calls are plain functions.
struct Script {
  std::string failing;
  std::string made;
  bool lets_root_back = false;
  bool keeps_capability = false;
};
Script script;

int made(const char* name) {
  script.made += std::string(name) + " ";
  errno = EPERM;
  return script.failing == name ? -1 : 0;
}

IdentityCalls scripted() {
  return {.set_groups =
              [](std::size_t, const gid_t* groups) {
                return *groups == 0 && !script.lets_root_back ? -1 : made("groups");
              },
          .set_gid = [](gid_t gid, gid_t,
                        gid_t) { return gid == 0 && !script.lets_root_back ? -1 : made("gid"); },
          .set_uid =
              [](uid_t uid, uid_t effective, uid_t) {
                return (uid == 0 || effective == 0) && !script.lets_root_back ? -1 : made("uid");
              },
          .no_new_privileges = [] { return made("nnp"); },
          .has_capabilities = [] { return script.keeps_capability; }};
}

}  // namespace

TEST_CASE("a user's name is letters and digits, never a number, an option or nothing") {
  for (const char* good : {"root", "www-data", "_apt", "a.b", "User1"}) CHECK(is_user_name(good));
  for (const char* bad : {"", "0", "#0", "-u", "a b", "a:b", "a\nb", "../x", "1abc", ".x", "%wheel"}) {
    CHECK_FALSE(is_user_name(bad));
  }
  CHECK_FALSE(is_user_name(std::string(33, 'a')));
}

TEST_CASE("users and groups are read from their files") {
  const TempDirectory directory;
  std::string many;
  for (int i = 0; i < 3000; ++i) many += "member" + std::to_string(i) + ",";
  const std::string passwd = directory.write("passwd",
                                             "root:x:0:0:root:/root:/bin/sh\n"
                                             "deploy:x:1000:1001:Deploy,,,:/home/deploy:/bin/sh\n");
  const std::string group =
      directory.write("group", "root:x:0:\ndeploy:x:1001:\nbig:x:7:" + many + "deploy\n" +
                                   "video:x:44:other,deploy\nagain:x:44:deploy\naudio:x:29:other\n");
  auto deploy = find_user("deploy", passwd);
  REQUIRE(deploy.ok());
  CHECK(deploy->uid == 1000);
  CHECK(deploy->gid == 1001);
  CHECK(deploy->home == "/home/deploy");
  CHECK(find_user(uid_t{0}, passwd)->name == "root");
  CHECK_FALSE(find_user(uid_t{5}, passwd).ok());
  auto near = find_user("deplyo", passwd);
  REQUIRE_FALSE(near.ok());
  CHECK(near.error().code == Code::kNotFound);
  CHECK(near.error().message.find("did you mean \"deploy\"?") != std::string::npos);
  CHECK(find_user("#0", passwd).error().code == Code::kRefused);
  CHECK(*groups_of("deploy", 1001, group) == std::vector<gid_t>{1001, 7, 44});
  CHECK(*groups_of("nobody", 65534, group) == std::vector<gid_t>{65534});
  CHECK_FALSE(find_user("deploy", directory / "absent").ok());
}

TEST_CASE("becoming another user goes groups, group, user, and then nothing new") {
  script = {};
  CHECK(become_user(1000, 1001, {1001, 7}, scripted()).ok());
  CHECK(script.made == "groups gid uid nnp ");
}

TEST_CASE("whichever step of becoming another user fails, it is an error") {
  for (const char* step : {"groups", "gid", "uid", "nnp"}) {
    script = {};
    script.failing = step;
    auto became = become_user(1000, 1001, {1001}, scripted());
    REQUIRE_FALSE(became.ok());
    CHECK(became.error().code == Code::kRefused);
  }
  script = {};
  script.lets_root_back = true;
  CHECK_FALSE(become_user(1000, 1001, {1001}, scripted()).ok());
  script = {};
  script.keeps_capability = true;
  CHECK_FALSE(become_user(1000, 1001, {1001}, scripted()).ok());
}

}  // namespace sloth::test
