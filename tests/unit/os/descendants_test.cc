#include "runner/os/descendants.h"

#include <unistd.h>

#include <csignal>
#include <string>

#include "runner/os/process_table.h"
#include "tests/unit/os/support.h"

namespace sloth::test {
namespace {

pid_t number_after(const std::string& text, const std::string& label) {
  const auto at = text.find(label);
  REQUIRE(at != std::string::npos);
  return static_cast<pid_t>(std::stol(text.substr(at + label.size())));
}

bool is_gone(pid_t pid) {
  const auto record = process_record(pid);
  return !record || !record->living;
}

}  // namespace

TEST_CASE("every descendant is ended, whatever it did to hide") {
  become_subreaper();
  Running running(
      shell("(exec setsid env -i /bin/sh -c '(setsid env -i sleep 1000 >/dev/null 2>&1 & echo deep $!); "
            "exec >/dev/null 2>&1; sleep 1001') & "
            "trap '' TERM; sleep 1001 >/dev/null 2>&1 & echo near $!; exec >/dev/null 2>&1; wait"));
  const std::string out = read_to_end(running.child().stdout_fd);
  const EndedDescendants ended = end_descendants(std::chrono::seconds(10));
  CHECK(ended.left.empty());
  CHECK(is_gone(number_after(out, "deep ")));
  CHECK(is_gone(number_after(out, "near ")));
  CHECK(is_gone(running.child().pid));
  CHECK(names_of(ended.ended).find("sleep 1000") != std::string::npos);
  CHECK(children_of(::getpid()).empty());
}

TEST_CASE("without descendants there is nothing to do") {
  const EndedDescendants ended = end_descendants(std::chrono::seconds(10));
  CHECK(ended.ended.empty());
  CHECK(ended.left.empty());
}

TEST_CASE("children that are not chosen live on") {
  Running spared(shell("sleep 1002"));
  Running chosen(shell("sleep 1003"));
  const pid_t wanted = chosen.child().pid;
  CHECK(end_descendants(std::chrono::seconds(10), [&](pid_t pid) { return pid == wanted; }).left.empty());
  CHECK(is_gone(wanted));
  CHECK_FALSE(is_gone(spared.child().pid));
}

}  // namespace sloth::test
