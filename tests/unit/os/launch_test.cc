#include "runner/os/launch.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

// Runs a shell line whose standard output is the pipe, and returns what it printed.
std::string output_of(LaunchPlan plan, const char* line) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const char* arguments[] = {"/bin/sh", "-c", line, nullptr};
  const char* environment[] = {"PATH=/usr/bin:/bin", nullptr};
  plan.program = "/bin/sh";
  plan.arguments = arguments;
  plan.environment = environment;
  plan.stdio[1] = ends[1];
  const Launched launched = launch(plan);
  ::close(ends[1]);
  REQUIRE(launched.error == 0);
  std::string text = read_to_end(ends[0]);
  ::close(ends[0]);
  REQUIRE(::waitpid(launched.pid, nullptr, 0) == launched.pid);
  ::close(launched.pidfd);
  return text;
}

}  // namespace

TEST_CASE("descriptors are handed over in order, and nothing else is open") {
  const TempDirectory directory;
  std::array<int, 3> files{};
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string path = directory.write(std::to_string(i), "content " + std::to_string(i) + "\n");
    files[i] = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(files[i] > 2);
  }
  const int leaked = ::open("/dev/zero", O_RDONLY);
  // One's number is another one's target, and one is handed over twice.
  const std::array<int, 4> handed = {files[2], files[0], files[1], files[2]};
  LaunchPlan plan;
  plan.handed = handed.data();
  plan.handed_count = handed.size();
  CHECK(output_of(plan, "cat <&3; cat <&4; cat <&5; ls /proc/self/fd | tr '\\n' ' '") ==
        "content 2\ncontent 0\ncontent 1\n0 1 2 3 4 5 6 7 ");
  ::close(leaked);
  for (const int file : files) ::close(file);
}

TEST_CASE("handing over nothing closes all but the first three") {
  const int leaked = ::open("/dev/zero", O_RDONLY);
  const int none = -1;
  LaunchPlan plan;
  plan.handed = &none;
  CHECK(output_of(plan, "ls /proc/self/fd | tr '\\n' ' '") == "0 1 2 3 ");
  ::close(leaked);
}

TEST_CASE("a child may lead a session of its own") {
  LaunchPlan plan;
  plan.new_session = true;
  const std::string fields = output_of(plan, "exec cat /proc/self/stat");
  // pid (name) state parent group session
  const std::string pid = fields.substr(0, fields.find(' '));
  CHECK(fields.find(") R " + std::to_string(::getpid()) + " " + pid + " " + pid + " ") != std::string::npos);
}

TEST_CASE("a descriptor that is not open stops the launch, and says at which step") {
  const int closed = 1'000'000;
  const char* arguments[] = {"/bin/true", nullptr};
  const char* environment[] = {nullptr};
  LaunchPlan plan;
  plan.program = "/bin/true";
  plan.arguments = arguments;
  plan.environment = environment;
  plan.handed = &closed;
  plan.handed_count = 1;
  const Launched launched = launch(plan);
  CHECK(launched.error == EBADF);
  CHECK(launched.step == LaunchStep::kStdio);
}

}  // namespace sloth::test
