#include "agent/policy.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "runner/os/accounts.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

class PolicyFile {
 public:
  explicit PolicyFile(const std::string& text, mode_t mode = 0600) {
    REQUIRE(write_file(path(), text).ok());
    REQUIRE(::chmod(path().c_str(), mode) == 0);
  }
  ~PolicyFile() { static_cast<void>(remove_path(directory, true)); }
  PolicyFile(const PolicyFile&) = delete;
  PolicyFile& operator=(const PolicyFile&) = delete;
  [[nodiscard]] std::string path() const { return directory + "/policy.json"; }

  const std::string directory = *make_temp_directory("sloth-policy-test-");
};

std::string problem_of(const std::string& text) {
  const PolicyFile file(text);
  auto loaded = AgentPolicy::load(file.path());
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().message.find(file.path()) == 0);
  return loaded.error().message;
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a policy file sets what it names and leaves the rest at its default") {
  const PolicyFile file(R"({"max_attempts": 4, "users": ["deploy", "www-data"], "default_user": "daemon",
    "memory": "512MiB", "cpu": "1h", "processes": 512, "files": 1024, "output": "1.5GiB"})");
  auto policy = AgentPolicy::load(file.path());
  INFO((policy ? "" : policy.error().message));
  REQUIRE(policy.ok());
  CHECK(policy->max_attempts == 4);
  CHECK(policy->users == std::vector<std::string>{"deploy", "www-data"});
  CHECK(policy->default_user == "daemon");
  CHECK(policy->limits.memory == std::uint64_t{512} << 20);
  CHECK(policy->limits.cpu == std::chrono::hours(1));
  CHECK(policy->limits.processes == 512);
  CHECK(policy->limits.files == 1024);
  CHECK(policy->limits.output == std::uint64_t{1536} << 20);
  CHECK(policy->limits.wall == AttemptLimits().wall);
}

TEST_CASE("no policy file is the default policy") {
  auto policy = AgentPolicy::load("/nonexistent/policy.json");
  REQUIRE(policy.ok());
  CHECK(policy->max_attempts == 0);
  CHECK(policy->default_user == "nobody");
}

TEST_CASE("a wrong policy is refused with file, key and cure") {
  CHECK(says(problem_of(R"({"max_atempts": 4})"),
             R"(unknown key "max_atempts"; did you mean "max_attempts"?)"));
  CHECK(says(problem_of(R"({"max_attempts": 0})"), "whole number from 1"));
  CHECK(says(problem_of(R"({"max_attempts": -1})"), "whole number"));
  CHECK(says(problem_of(R"({"max_attempts": 1.5})"), "whole number"));
  CHECK(says(problem_of(R"({"max_attempts": "4"})"), "whole number"));
  CHECK(says(problem_of(R"({"memory": 512})"), "\"512MiB\""));
  CHECK(says(problem_of(R"({"memory": "512MB"})"), "\"512MiB\""));
  CHECK(says(problem_of(R"({"memory": "-1GiB"})"), "\"512MiB\""));
  CHECK(says(problem_of(R"({"memory": "1KiB"})"), "16 MiB or more"));
  CHECK(says(problem_of(R"({"output": "999999999TiB"})"), "must be a size"));
  CHECK(says(problem_of(R"({"cpu": 60})"), "in quotes"));
  CHECK(says(problem_of(R"({"cpu": "1ms"})"), "one second or more"));
  CHECK(says(problem_of(R"({"wall": "soon"})"), "is no duration"));
  CHECK(says(problem_of(R"({"users": "root"})"), "list of names"));
  CHECK(says(problem_of(R"({"users": ["#0"]})"), "name of a user"));
  CHECK(says(problem_of(R"({"users": [0]})"), "name of a user"));
  CHECK(says(problem_of(R"({"default_user": ""})"), "name of a user"));
  CHECK(says(problem_of("[]"), "one JSON object"));
  CHECK(says(problem_of("{"), "not JSON"));
  CHECK(says(problem_of(std::string(70'000, ' ')), "larger than"));
}

TEST_CASE("a policy that others may write is refused, and so is one in a directory of that kind") {
  for (const mode_t mode : {0620u, 0602u, 0666u}) {
    const PolicyFile file("{}", mode);
    auto loaded = AgentPolicy::load(file.path());
    REQUIRE_FALSE(loaded.ok());
    CHECK(loaded.error().code == Code::kRefused);
    CHECK(says(loaded.error().message, "chmod go-w " + file.path()));
  }
  const PolicyFile file("{}");
  REQUIRE(::chmod(file.directory.c_str(), 0777) == 0);
  CHECK_FALSE(AgentPolicy::load(file.path()).ok());
  REQUIRE(::chmod(file.directory.c_str(), 0755) == 0);
  CHECK(AgentPolicy::load(file.path()).ok());
  if (::geteuid() == 0) {
    REQUIRE(::chown(file.path().c_str(), 65534, 65534) == 0);
    CHECK_FALSE(AgentPolicy::load(file.path()).ok());
  }
  REQUIRE(remove_path(file.path(), false).ok());
  REQUIRE(make_directory(file.path()).ok());
  CHECK_FALSE(AgentPolicy::load(file.path()).ok());
}

TEST_CASE("what is no user's name is refused before anything is looked up") {
  AgentPolicy policy;
  for (const std::string name : {"#0", "-u", "0", "root:", "a b", "ro\not", "../root", "+root", "%wheel"}) {
    auto account = policy.account(name);
    REQUIRE_FALSE(account.ok());
    CHECK(account.error().code == Code::kRefused);
  }
  auto with_nul = policy.account(std::string("root\0x", 6));
  CHECK_FALSE(with_nul.ok());
}

TEST_CASE(
    "an agent that is root runs tasks as its default user, as those it lists, and as root only when that is "
    "listed") {
  if (::geteuid() != 0) {
    WARN("not root: switching users is left out");
    return;
  }
  AgentPolicy policy;
  auto fallback = policy.account("");
  REQUIRE(fallback.ok());
  CHECK(fallback->name == "nobody");
  CHECK(fallback->uid != 0);
  CHECK(policy.account("nobody").ok());
  auto root = policy.account("root");
  REQUIRE_FALSE(root.ok());
  CHECK(root.error().code == Code::kRefused);
  CHECK_FALSE(policy.account("daemon").ok());
  policy.users = {"daemon"};
  auto daemon = policy.account("daemon");
  REQUIRE(daemon.ok());
  CHECK(daemon->name == "daemon");
  auto unknown = policy.account("deamon");
  REQUIRE_FALSE(unknown.ok());
  CHECK(says(unknown.error().message, "did you mean \"daemon\"?"));
  policy.default_user = "root";
  CHECK_FALSE(policy.account("").ok());
  policy.users.emplace_back("root");
  root = policy.account("root");
  REQUIRE(root.ok());
  CHECK(root->uid == 0);
  CHECK(root->name.empty());
}

TEST_CASE("an agent that is not root runs tasks as itself only") {
  if (::geteuid() == 0) {
    REQUIRE(::seteuid(65534) == 0);
    AgentPolicy policy;
    auto own = policy.account("");
    auto other = policy.account("root");
    auto named = policy.account("nobody");
    REQUIRE(::seteuid(0) == 0);
    REQUIRE(own.ok());
    CHECK(own->name.empty());
    CHECK(own->uid == 65534);
    REQUIRE(named.ok());
    CHECK(named->uid == 65534);
    REQUIRE_FALSE(other.ok());
    CHECK(says(other.error().message, "the agent runs as nobody"));
    return;
  }
  AgentPolicy policy;
  auto own = policy.account("");
  REQUIRE(own.ok());
  CHECK(own->uid == ::geteuid());
  CHECK_FALSE(policy.account("root").ok());
}

}  // namespace sloth
