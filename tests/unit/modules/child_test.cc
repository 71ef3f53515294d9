#include "modules/child.h"

#include <catch2/catch.hpp>

#include <csignal>
#include <future>
#include <string>
#include <vector>

#include "runner/os/file_tree.h"

namespace sloth {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

struct Outcome {
  ChildProcess::End end;
  std::string out;
  std::string err;
};

// One child and what it said; its tag is unique, so that its processes can be looked for.
class Run {
 public:
  explicit Run(Executor& executor, ChildProcess::Options options) {
    tag = "child-test/" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    options.spawn.attempt = tag;
    options.spawn.environment = current_environment();
    if (!options.output) {
      options.output = [this](OutputStream stream, std::string_view bytes) {
        (stream == OutputStream::kStdout ? outcome.out : outcome.err).append(bytes);
        return true;
      };
    }
    options.done = [this](ChildProcess::End end) {
      outcome.end = std::move(end);
      done.set_value();
    };
    auto started = ChildProcess::start(executor, std::move(options));
    REQUIRE(started);
    child = *started;
  }

  Outcome& wait() {
    REQUIRE(done.get_future().wait_for(kPatience) == std::future_status::ready);
    return outcome;
  }

  std::string tag;
  std::shared_ptr<ChildProcess> child;
  Outcome outcome;
  std::promise<void> done;
};

ChildProcess::Options shell(const std::string& script) {
  ChildProcess::Options options;
  options.spawn.argv = {"/bin/sh", "-c", script};
  return options;
}

Executor::Options two_workers() { return {.workers = 2}; }

TEST_CASE("both streams of a child arrive whole and apart, and its exit code") {
  Executor executor(two_workers());
  Run run(executor, shell("printf out; printf err >&2; exit 7"));
  const Outcome& outcome = run.wait();
  CHECK(outcome.out == "out");
  CHECK(outcome.err == "err");
  CHECK(outcome.end.status.code == 7);
  CHECK(outcome.end.status.signal == 0);
  CHECK_FALSE(outcome.end.timed_out);
  CHECK_FALSE(outcome.end.cancelled);
}

TEST_CASE("output is byte exact: a line of one MiB, binary, no newline at the end") {
  Executor executor(two_workers());
  Run run(executor, shell("head -c 1048576 /dev/zero | tr '\\0' x; printf '\\n\\000\\377\\303'"));
  const Outcome& outcome = run.wait();
  const bool same = outcome.out == std::string(1048576, 'x') + std::string("\n\0\377\303", 4);
  CHECK(same);
}

TEST_CASE("a child gets its input and then the end of it") {
  Executor executor(two_workers());
  std::string input(3 << 20, 'q');
  auto options = shell("wc -c");
  options.spawn.pipe_stdin = true;
  options.input = input;
  Run run(executor, std::move(options));
  CHECK(std::stoul(run.wait().out) == input.size());
}

TEST_CASE("a child that does not read its input is no failure") {
  std::signal(SIGPIPE, SIG_IGN);
  Executor executor(two_workers());
  auto options = shell("exec <&-; exit 5");
  options.spawn.pipe_stdin = true;
  options.input = std::string(1 << 20, 'q');
  Run run(executor, std::move(options));
  CHECK(run.wait().end.status.code == 5);
}

TEST_CASE("death by a signal is told by its number") {
  Executor executor(two_workers());
  Run run(executor, shell("kill -SEGV $$"));
  const Outcome& outcome = run.wait();
  CHECK(outcome.end.status.signal == SIGSEGV);
  CHECK(outcome.end.status.code == 128 + SIGSEGV);
}

TEST_CASE("a timeout ends the whole tree, also what left the group") {
  Executor executor(two_workers());
  auto options = shell("setsid sleep 60 & sleep 60 & sleep 60");
  options.timeout = 200ms;
  Run run(executor, std::move(options));
  const Outcome& outcome = run.wait();
  CHECK(outcome.end.timed_out);
  CHECK(outcome.end.status.signal == SIGTERM);
  CHECK(outcome.end.took < 8s);
  CHECK(tree_of(0, run.tag).empty());
}

TEST_CASE("a daemon that ignores SIGTERM and left its parent is found by its attempt and killed") {
  Executor executor(two_workers());
  auto options = shell("(trap '' TERM; exec setsid sleep 61) & sleep 60");
  options.timeout = 300ms;
  options.grace = 200ms;
  Run run(executor, std::move(options));
  CHECK(run.wait().end.timed_out);
  CHECK(tree_of(0, run.tag).empty());
}

TEST_CASE("the end of one child leaves another of the same attempt alone") {
  Executor executor(two_workers());
  Run other(executor, shell("sleep 60"));
  auto options = shell("sleep 60");
  options.timeout = 100ms;
  Run run(executor, std::move(options));
  CHECK(run.wait().end.timed_out);
  CHECK_FALSE(tree_of(0, other.tag).empty());
  CHECK_FALSE(tree_of(0, "child-test").empty());
  other.child->end_tree(10s);
  CHECK(other.wait().end.cancelled);
}

TEST_CASE("what ignores SIGTERM is killed when the grace is over") {
  Executor executor(two_workers());
  auto options = shell("trap '' TERM; while :; do sleep 1; done");
  options.timeout = 200ms;
  options.grace = 300ms;
  Run run(executor, std::move(options));
  const Outcome& outcome = run.wait();
  CHECK(outcome.end.timed_out);
  CHECK(outcome.end.status.signal == SIGKILL);
  CHECK(outcome.end.took >= 500ms);
  CHECK(tree_of(0, run.tag).empty());
}

TEST_CASE("what a child says while it ends is still heard") {
  Executor executor(two_workers());
  auto options = shell("trap 'echo cleaned up; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
  std::promise<void> ready;
  std::string heard;
  options.output = [&](OutputStream, std::string_view bytes) {
    const bool first = heard.empty();
    heard.append(bytes);
    if (first) ready.set_value();
    return true;
  };
  Run run(executor, std::move(options));
  REQUIRE(ready.get_future().wait_for(kPatience) == std::future_status::ready);
  run.child->end_tree(10s);
  const Outcome& outcome = run.wait();
  CHECK(heard.starts_with("ready\n"));
  CHECK(heard.ends_with("cleaned up\n"));
  CHECK(outcome.end.cancelled);
  CHECK(outcome.end.status.code == 3);
}

TEST_CASE("a daemon that holds the output is left alone and named") {
  Executor executor(two_workers());
  auto options = shell("echo started; sleep 60 & exit 0");
  options.linger = 200ms;
  Run run(executor, std::move(options));
  const Outcome& outcome = run.wait();
  CHECK(outcome.out == "started\n");
  CHECK(outcome.end.status.code == 0);
  REQUIRE(outcome.end.survivors.size() == 1);
  CHECK(outcome.end.survivors[0].command == "sleep 60");
  kill_tree(0, run.tag);
}

TEST_CASE("a late process that ends within the linger is waited for") {
  Executor executor(two_workers());
  auto options = shell("(sleep 0.2; echo late) & exit 0");
  options.linger = 50s;
  Run run(executor, std::move(options));
  const Outcome& outcome = run.wait();
  CHECK(outcome.out == "late\n");
  CHECK(outcome.end.survivors.empty());
  CHECK(outcome.end.took < 40s);
}

TEST_CASE("a reader that stops makes the child wait, and resume() goes on") {
  Executor executor(two_workers());
  std::promise<void> stopped;
  std::size_t heard = 0;
  auto options = shell("head -c 4000000 /dev/zero");
  options.output = [&](OutputStream, std::string_view bytes) {
    const std::size_t before = heard;
    heard += bytes.size();
    if (before != 0) return true;
    stopped.set_value();
    return false;
  };
  Run run(executor, std::move(options));
  REQUIRE(stopped.get_future().wait_for(kPatience) == std::future_status::ready);
  run.child->resume();
  run.wait();
  CHECK(heard == 4000000);
}

TEST_CASE("closing its stdout ends a child that writes for ever") {
  Executor executor(two_workers());
  auto options = shell("exec yes");
  std::promise<void> heard;
  bool first = true;
  options.output = [&](OutputStream, std::string_view) {
    if (std::exchange(first, false)) heard.set_value();
    return true;
  };
  Run run(executor, std::move(options));
  REQUIRE(heard.get_future().wait_for(kPatience) == std::future_status::ready);
  run.child->close_stdout();
  CHECK(run.wait().end.status.signal == SIGPIPE);
}

TEST_CASE("a hundred children at once need a handful of threads") {
  Executor executor(two_workers());
  constexpr int kChildren = 100;
  std::vector<std::unique_ptr<Run>> runs;
  for (int i = 0; i < kChildren; ++i) {
    auto options = shell("read line; printf \"$line\"");
    options.spawn.pipe_stdin = true;
    options.input = std::to_string(i) + "\n";
    runs.push_back(std::make_unique<Run>(executor, std::move(options)));
  }
  const auto threads = list_directory("/proc/self/task");
  REQUIRE(threads);
  CHECK(threads->size() <= 8);
  for (int i = 0; i < kChildren; ++i)
    CHECK(runs[static_cast<std::size_t>(i)]->wait().out == std::to_string(i));
}

TEST_CASE("an executor that stops under a running child kills it") {
  std::string tag;
  {
    Executor executor(two_workers());
    Run run(executor, shell("sleep 60"));
    tag = run.tag;
    REQUIRE_FALSE(tree_of(0, tag).empty());
    run.child.reset();
    executor.stop();
  }
  CHECK(tree_of(0, tag).empty());
}

TEST_CASE("what cannot be started is an error and nothing else comes") {
  Executor executor(two_workers());
  ChildProcess::Options options;
  options.spawn.argv = {"/no/such/program"};
  options.output = [](OutputStream, std::string_view) { return true; };
  options.done = [](const ChildProcess::End&) { FAIL("no end without a start"); };
  const auto started = ChildProcess::start(executor, std::move(options));
  REQUIRE_FALSE(started);
  CHECK(started.error().code == Code::kNotFound);
}

}  // namespace
}  // namespace sloth
