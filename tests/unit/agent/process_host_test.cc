#include "agent/process_host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "agent/attempt_launch.h"
#include "agent/attempt_main.h"
#include "agent/bundle.h"
#include "agent/result_file.h"
#include "agent/spool.h"
#include "runner/base/mutex.h"
#include "runner/os/accounts.h"
#include "runner/os/file_tree.h"
#include "runner/os/process.h"
#include "runner/os/process_table.h"
#include "runner/os/process_tree.h"

namespace sloth {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Far beyond what anything here takes: only a hang reaches it.
constexpr std::chrono::seconds kDeadline{60};
constexpr std::chrono::milliseconds kGrace{400};
constexpr int kLookAgainMs = 5;

// Stands in for the Lua runner in the attempt process: shell commands only, with output, timeout and cancel.
class ShellRunner final : public TaskRunner {
 public:
  void start(TaskRequest request, EventSink& sink, std::stop_token stop,
             UniqueFunction<void(Outcome)> done) override {
    std::thread([request = std::move(request), &sink, stop = std::move(stop),
                 done = std::move(done)]() mutable {
      done(run(request, sink, stop));
    }).detach();
  }

 private:
  static Outcome run(const TaskRequest& request, EventSink& sink, const std::stop_token& stop) {
    const std::string& command = std::get<ShellCommand>(request.spec->command).text;
    if (command == "burn") return burn(stop);
    if (command == "outputs") {
      Outcome outcome;
      outcome.outputs = Value::Map{{MapKey(std::string("big")), std::string(std::size_t{4} << 20, 'b')}};
      return outcome;
    }
    SpawnOptions options;
    options.argv = {"/bin/sh", "-c", command};
    options.directory = request.workdir;
    options.environment = current_environment();
    options.environment.emplace_back("AGENT", request.agent);
    options.environment.emplace_back("FRESH", request.fresh_workdir ? "yes" : "no");
    options.attempt = std::string(std::getenv("SLOTH_ATTEMPT")) + "/1";
    options.pipe_stdin = false;
    auto child = spawn(options);
    if (!child) return ended(OutcomeKind::kFailed, child.error().message);

    const auto deadline = SteadyClock::now() + request.spec->timeout.value_or(kDeadline);
    bool asked = false;
    bool timed_out = false;
    pollfd waiting[] = {
        {child->pidfd, POLLIN, 0}, {child->stdout_fd, POLLIN, 0}, {child->stderr_fd, POLLIN, 0}};
    for (;;) {
      ::poll(waiting, 3, kLookAgainMs);
      read_from(waiting[1].fd, OutputStream::kStdout, request, sink);
      read_from(waiting[2].fd, OutputStream::kStderr, request, sink);
      timed_out = timed_out || SteadyClock::now() >= deadline;
      if ((timed_out || stop.stop_requested()) && !std::exchange(asked, true)) {
        signal_tree(child->pid, options.attempt, SIGTERM);
      }
      if (waiting[0].revents != 0) break;
    }
    const ExitStatus status = reap(*child);
    read_from(waiting[1].fd, OutputStream::kStdout, request, sink);
    read_from(waiting[2].fd, OutputStream::kStderr, request, sink);
    if (stop.stop_requested()) return ended(OutcomeKind::kCancelled, "cancelled");
    if (timed_out) return ended(OutcomeKind::kTimedOut, "timed out");
    if (status.code != 0) return ended(OutcomeKind::kFailed, fmt::format("exit code {}", status.code));
    return ended(OutcomeKind::kSucceeded, "fine");
  }

  static Outcome burn(const std::stop_token& stop) {
    volatile std::uint64_t count = 0;
    while (!stop.stop_requested()) count = count + 1;
    return ended(OutcomeKind::kCancelled, "cancelled");
  }

  static Outcome ended(OutcomeKind kind, std::string message) {
    Outcome outcome;
    outcome.kind = kind;
    outcome.message = std::move(message);
    return outcome;
  }

  static void read_from(int& fd, OutputStream stream, const TaskRequest& request, EventSink& sink) {
    char buffer[64 * 1024];
    while (fd >= 0) {
      const ssize_t count = ::read(fd, buffer, sizeof(buffer));
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) {
        ::close(std::exchange(fd, -1));
        return;
      }
      sink.on_event({0, request.run, request.spec->name, request.agent, request.attempt,
                     TaskOutput{stream, std::string(buffer, static_cast<std::size_t>(count))}});
    }
  }
};

}  // namespace

// The program of the tests below: this very file, started as `agent_test attempt`.
TEST_CASE("attempt", "[.]") {
  if (std::getenv("SLOTH_ATTEMPT") == nullptr) return;
  auto input = enter_attempt();
  if (!input) ::_exit(2);
  ShellRunner runner;
  ::_exit(run_attempt(std::move(*input), runner));
}

namespace {

std::string own_program() {
  std::string path(4096, '\0');
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  REQUIRE(size > 0);
  path.resize(static_cast<std::size_t>(size));
  return path;
}

// Polls a state of the system that nothing tells of.
bool becomes_true(const std::function<bool()>& condition) {
  const auto deadline = SteadyClock::now() + kDeadline;
  while (!condition()) {
    if (SteadyClock::now() >= deadline) return false;
    ::poll(nullptr, 0, kLookAgainMs);
  }
  return true;
}

// What an attempt told its agent.
struct Heard {
  Mutex mutex;
  CondVar changed;
  int growths GUARDED_BY(mutex) = 0;
  int ends GUARDED_BY(mutex) = 0;
  AttemptState state GUARDED_BY(mutex) = AttemptState::kRunning;
  Outcome outcome GUARDED_BY(mutex);
};

struct End {
  AttemptState state;
  Outcome outcome;
};

class AgentSide {
 public:
  AgentSide() {
    REQUIRE(::chmod(directory.c_str(), 0711) == 0);
    for (const std::string name : {"/attempts", "/work", "/content"}) {
      REQUIRE(::mkdir((directory + name).c_str(), name == "/work" ? 0711 : 0700) == 0);
      REQUIRE(::chmod((directory + name).c_str(), name == "/work" ? 0711 : 0700) == 0);
    }
    open_host();
  }
  ~AgentSide() {
    on_strand([this] { process.reset(); });
    executor.stop();
    static_cast<void>(remove_path(directory, true));
  }
  AgentSide(const AgentSide&) = delete;
  AgentSide& operator=(const AgentSide&) = delete;

  void open_host() {
    host =
        std::make_unique<ProcessHost>(own_program(), executor, clock, ProcessHost::Options{.grace = kGrace});
  }

  void on_strand(const std::function<void()>& job) {
    Mutex mutex;
    CondVar changed;
    bool done = false;
    strand.post([&] {
      job();
      MutexLock lock(mutex);
      done = true;
      changed.notify_all();
    });
    MutexLock lock(mutex);
    while (!done) changed.wait(mutex);
  }

  AttemptPlan plan_of(TaskSpec spec, const std::string& name = "a") {
    TaskRequest request;
    spec.name = name;
    auto shared = std::make_shared<const TaskSpec>(std::move(spec));
    request.spec = shared;
    request.run = "run1";
    Bundle bundle = encode_bundle(request, {"", "tester"});
    AttemptPlan plan;
    // Of this process alone: another test may run beside it, and attempts are found by their id.
    plan.id = attempt_id({"run" + std::to_string(::getpid()), name, "tester", 1});
    plan.files.directory = directory + "/attempts/" + plan.id;
    plan.content = directory + "/content";
    plan.workspace = directory + "/work/" + plan.id;
    auto account = policy.account("");
    REQUIRE(account.ok());
    plan.account = *account;
    plan.timeout = shared->timeout;
    REQUIRE(::mkdir(plan.files.directory.c_str(), 0700) == 0);
    REQUIRE(write_file(plan.files.request(), bundle.request).ok());
    return plan;
  }
  AttemptPlan plan_of(const std::string& command, const std::string& name = "a") {
    TaskSpec spec;
    spec.command = ShellCommand{command};
    return plan_of(std::move(spec), name);
  }

  AttemptEvents events() {
    return {[heard = heard] {
              MutexLock lock(heard->mutex);
              ++heard->growths;
              heard->changed.notify_all();
            },
            [heard = heard](AttemptState state, Outcome outcome) {
              MutexLock lock(heard->mutex);
              ++heard->ends;
              heard->state = state;
              heard->outcome = std::move(outcome);
              heard->changed.notify_all();
            }};
  }

  Result<void> try_start(const AttemptPlan& plan) {
    Result<void> result;
    on_strand([&] {
      auto started = host->start(plan, strand, events());
      if (started) {
        process = std::move(*started);
      } else {
        result = started.error();
      }
    });
    return result;
  }
  void start(const AttemptPlan& plan) {
    auto started = try_start(plan);
    INFO((started ? "" : started.error().message));
    REQUIRE(started.ok());
  }
  void adopt(const AttemptPlan& plan, const ProcessName& name) {
    on_strand([&] { process = host->adopt(plan, name, strand, events()); });
  }
  void cancel(const std::string& reason) {
    on_strand([&] { process->cancel(reason); });
  }
  ProcessName name() {
    ProcessName copy;
    on_strand([&] { copy = process->name(); });
    return copy;
  }

  End wait_for_end() {
    const auto deadline = SteadyClock::now() + kDeadline;
    MutexLock lock(heard->mutex);
    while (heard->ends == 0) REQUIRE(heard->changed.wait_until(heard->mutex, deadline));
    CHECK(heard->ends == 1);
    return {heard->state, heard->outcome};
  }
  End run(const AttemptPlan& plan) {
    start(plan);
    return wait_for_end();
  }

  static std::string output(const AttemptPlan& plan, OutputStream wanted = OutputStream::kStdout) {
    auto bytes = read_file(plan.files.spool(), std::uint64_t{1} << 30);
    std::string text;
    SpoolParser parser;
    if (bytes) {
      CHECK(parser
                .feed(*bytes,
                      [&](const decltype(Event::body)& body) {
                        const auto* out = std::get_if<TaskOutput>(&body);
                        if (out != nullptr && out->stream == wanted) text += out->bytes;
                      })
                .ok());
    }
    return text;
  }
  bool says(const AttemptPlan& plan, const std::string& text) {
    return becomes_true([&] { return output(plan).find(text) != std::string::npos; });
  }

  const std::string directory = *make_temp_directory("sloth-host-test-");
  SystemClock clock;
  Executor executor{{.workers = 2}};
  Strand strand{executor};
  AgentPolicy policy;
  std::shared_ptr<Heard> heard = std::make_shared<Heard>();
  std::unique_ptr<ProcessHost> host;
  std::unique_ptr<AttemptProcess> process;
};

bool is_alive(pid_t pid) {
  const auto record = process_record(pid);
  return record && record->living;
}

pid_t pid_after(const std::string& text, const std::string& label) {
  const std::size_t at = text.find(label);
  REQUIRE(at != std::string::npos);
  return static_cast<pid_t>(std::strtol(text.c_str() + at + label.size(), nullptr, 10));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an attempt runs as a process of its own and leaves its output and outcome in files") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo out; echo err >&2; pwd");
  const End end = agent.run(plan);
  INFO(end.outcome.message);
  CHECK(end.state == AttemptState::kSucceeded);
  CHECK(end.outcome.kind == OutcomeKind::kSucceeded);
  CHECK(end.outcome.message == "fine");
  CHECK(AgentSide::output(plan) == "out\n" + plan.workspace + "\n");
  CHECK(AgentSide::output(plan, OutputStream::kStderr) == "err\n");
  {
    MutexLock lock(agent.heard->mutex);
    CHECK(agent.heard->growths > 0);
  }
  for (const std::string& file : {plan.files.spool(), plan.files.result(), plan.files.log()}) {
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(status.st_uid == ::geteuid());
  }
  struct stat workspace {};
  REQUIRE(::stat(plan.workspace.c_str(), &workspace) == 0);
  CHECK((workspace.st_mode & 0777) == 0700);
  CHECK(workspace.st_uid == plan.account.uid);
  CHECK(tree_of(0, plan.id).empty());
}

TEST_CASE("a task fails with its own words") {
  AgentSide agent;
  const End end = agent.run(agent.plan_of("exit 7"));
  CHECK(end.state == AttemptState::kFailed);
  CHECK(end.outcome.message == "exit code 7");
}

TEST_CASE("a long line and binary output arrive whole") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("head -c 3000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero");
  CHECK(agent.run(plan).state == AttemptState::kSucceeded);
  const bool whole = AgentSide::output(plan) == std::string(3'000'000, 'x') + std::string(100'000, '\0');
  CHECK(whole);
}

TEST_CASE("a child of an attempt finds a clean environment, nothing open, umask 077 and no terminal") {
  AgentSide agent;
  REQUIRE(::setenv("SECRET_OF_THE_AGENT", "x", 1) == 0);
  const int leaked = ::open("/dev/zero", O_RDONLY);
  const AttemptPlan plan = agent.plan_of(
      "env | sort | grep -v -e '^_=' -e '^PWD=' -e '^OLDPWD=' -e '^SHLVL='; ls /proc/self/fd | tr '\\n' ' '; "
      "echo; umask; grep -E 'Sig(Blk|Ign)' /proc/self/status; ulimit -c");
  const End end = agent.run(plan);
  ::close(leaked);
  ::unsetenv("SECRET_OF_THE_AGENT");
  INFO(end.outcome.message);
  std::string home = plan.account.home;
  if (!exists(home)) home = plan.workspace;
  const std::string user = plan.account.name.empty() ? find_user(plan.account.uid)->name : plan.account.name;
  CHECK(AgentSide::output(plan) ==
        fmt::format("AGENT=tester\nFRESH=yes\nHOME={}\nLANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin:/usr/"
                    "sbin:/sbin\n"
                    "SLOTH_ATTEMPT={}/1\nUSER={}\n0 1 2 3 "
                    "\n0077\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n",
                    home, plan.id, user));
}

TEST_CASE("an agent that is root runs an attempt as the default user, without groups, rights or a way back") {
  if (::geteuid() != 0) {
    WARN("not root: switching users is left out");
    return;
  }
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of(
      "id -u; id -G; grep -E '^(Uid|Gid|NoNewPrivs|CapEff|CapPrm|CapInh|CapAmb):' /proc/$PPID/status; touch "
      "mine && ls -ln "
      "mine | cut -d' ' -f3; cat /proc/self/oom_score_adj; ls / > /dev/null; cat " +
      agent.directory + "/attempts/x 2>&1 | grep -c denied");
  const End end = agent.run(plan);
  INFO(end.outcome.message);
  const uid_t uid = plan.account.uid;
  const gid_t gid = plan.account.gid;
  REQUIRE(uid != 0);
  CHECK(
      AgentSide::output(plan) ==
      fmt::format(
          "{0}\n{1}\nUid:\t{0}\t{0}\t{0}\t{0}\nGid:\t{1}\t{1}\t{1}\t{1}\nCapInh:\t0000000000000000\nCapPrm:\t"
          "0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n{0}"
          "\n500\n1\n",
          uid, gid));
}

TEST_CASE("kill -9 of an attempt's process fails the attempt, and nothing of it survives") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of(
      "sleep 1000 & echo plain $!; setsid sleep 1001 & setsid env -i /bin/sh -c 'sleep 1002 & echo hidden "
      "$!; "
      "wait' & wait");
  agent.start(plan);
  REQUIRE(agent.says(plan, "hidden"));
  REQUIRE(agent.says(plan, "plain"));
  const std::string out = AgentSide::output(plan);
  REQUIRE(::kill(agent.name().pid, SIGKILL) == 0);
  const End end = agent.wait_for_end();
  CHECK(end.state == AttemptState::kFailed);
  CHECK(end.outcome.message == "attempt process died (SIGKILL)");
  CHECK_FALSE(is_alive(pid_after(out, "plain ")));
  CHECK_FALSE(is_alive(pid_after(out, "hidden ")));
  CHECK(tree_of(0, plan.id).empty());
  CHECK(exists(plan.workspace));
}

TEST_CASE("a daemon without session, parent or environment does not survive a task that succeeded") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of(
      "setsid env -i /bin/sh -c '(setsid sleep 1003 > /dev/null 2>&1 & echo daemon $!) ; exit 0'; echo main");
  const End end = agent.run(plan);
  CHECK(end.state == AttemptState::kSucceeded);
  const std::string out = AgentSide::output(plan);
  CHECK_FALSE(is_alive(pid_after(out, "daemon ")));
  REQUIRE(end.outcome.warnings.size() == 1);
  CHECK(contains(end.outcome.warnings[0], "sleep 1003"));
}

TEST_CASE("a child that keeps stdout open after the command does not hold the attempt") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("sleep 1004 & echo done");
  const auto begun = SteadyClock::now();
  CHECK(agent.run(plan).state == AttemptState::kSucceeded);
  CHECK(SteadyClock::now() - begun < std::chrono::seconds(20));
  CHECK(AgentSide::output(plan) == "done\n");
}

TEST_CASE(
    "cancelled is said when the last process is gone, also one that ignores SIGTERM and left its session") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of(
      "trap '' TERM; (setsid /bin/sh -c 'trap \"\" TERM; (sleep 1005 & echo grandchild $!); while :; do "
      "sleep "
      "1006; done') & echo child $$; while :; do sleep 1007; done");
  agent.start(plan);
  REQUIRE(agent.says(plan, "grandchild"));
  REQUIRE(agent.says(plan, "child"));
  const std::string out = AgentSide::output(plan);
  agent.cancel("the operator pressed Ctrl-C");
  agent.cancel("once more");
  const End end = agent.wait_for_end();
  CHECK(tree_of(0, plan.id).empty());
  CHECK_FALSE(is_alive(pid_after(out, "grandchild ")));
  CHECK(end.state == AttemptState::kCancelled);
  CHECK(end.outcome.kind == OutcomeKind::kCancelled);
  CHECK(end.outcome.message == "the operator pressed Ctrl-C");
}

TEST_CASE("a task that ends on SIGTERM is cancelled at once and by itself") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("trap 'echo cleaned; exit 1' TERM; echo ready; sleep 1008 & wait");
  agent.start(plan);
  REQUIRE(agent.says(plan, "ready"));
  agent.cancel("enough");
  const End end = agent.wait_for_end();
  CHECK(end.state == AttemptState::kCancelled);
  CHECK(end.outcome.message == "enough");
  CHECK(contains(AgentSide::output(plan), "cleaned"));
}

TEST_CASE("a process that is stopped is cancelled all the same") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo ready; sleep 1009");
  agent.start(plan);
  REQUIRE(agent.says(plan, "ready"));
  REQUIRE(::kill(agent.name().pid, SIGSTOP) == 0);
  agent.cancel("enough");
  CHECK(agent.wait_for_end().state == AttemptState::kCancelled);
  CHECK(tree_of(0, plan.id).empty());
}

TEST_CASE("the task's own timeout is told as that") {
  AgentSide agent;
  TaskSpec spec;
  spec.command = ShellCommand{"sleep 1010"};
  spec.timeout = std::chrono::milliseconds(200);
  const End end = agent.run(agent.plan_of(std::move(spec)));
  CHECK(end.state == AttemptState::kTimedOut);
  CHECK(end.outcome.message == "timed out");
}

TEST_CASE("the policy's limit in time holds for a task without timeout, and is named") {
  AgentSide agent;
  AttemptPlan plan = agent.plan_of("sleep 1011");
  plan.limits.wall = std::chrono::milliseconds(200);
  const End end = agent.run(plan);
  CHECK(end.state == AttemptState::kTimedOut);
  CHECK(contains(end.outcome.message, "\"wall\" in the agent's policy"));
}

TEST_CASE("the limit of CPU time is named, and a neighbour is not touched") {
  AgentSide agent;
  AgentSide neighbour;
  const AttemptPlan other = neighbour.plan_of("sleep 3; echo fine");
  neighbour.start(other);
  AttemptPlan plan = agent.plan_of("burn");
  plan.limits.cpu = std::chrono::seconds(1);
  const End end = agent.run(plan);
  CHECK(end.state == AttemptState::kFailed);
  CHECK(end.outcome.message == "the attempt used more than 1.0s of CPU time (\"cpu\" in the agent's policy)");
  CHECK(neighbour.wait_for_end().state == AttemptState::kSucceeded);
}

TEST_CASE("the limit of open files holds for what an attempt starts") {
  AgentSide agent;
  AttemptPlan plan =
      agent.plan_of("grep -E '^Max (open files|processes)' /proc/self/limits | awk '{print $(NF-1)}'");
  plan.limits.files = 128;
  plan.limits.processes = 300;
  CHECK(agent.run(plan).state == AttemptState::kSucceeded);
  CHECK(AgentSide::output(plan) == "300\n128\n");
}

TEST_CASE("output beyond the quota does not change the outcome and is named in it") {
  AgentSide agent;
  AttemptPlan plan = agent.plan_of("head -c 5000000 /dev/zero | tr '\\0' y; printf tail");
  plan.limits.output = std::uint64_t{1} << 20;
  const End end = agent.run(plan);
  CHECK(end.state == AttemptState::kSucceeded);
  REQUIRE(end.outcome.warnings.size() == 1);
  CHECK(contains(end.outcome.warnings[0], "bytes of output were left out"));
  CHECK(AgentSide::output(plan).ends_with("yyyytail"));
}

TEST_CASE("outputs that no frame can carry fail the attempt with the size") {
  AgentSide agent;
  const End end = agent.run(agent.plan_of("outputs"));
  CHECK(end.state == AttemptState::kFailed);
  CHECK(contains(end.outcome.message, "write the data to a file"));
}

TEST_CASE("a new agent takes over a running attempt: output goes on and the end comes") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo before; while [ ! -e go ]; do sleep 0.02; done; echo after");
  agent.start(plan);
  REQUIRE(agent.says(plan, "before"));
  const ProcessName name = agent.name();
  agent.on_strand([&] { agent.process.reset(); });
  agent.heard = std::make_shared<Heard>();
  agent.open_host();
  agent.adopt(plan, name);
  REQUIRE(write_file(plan.workspace + "/go", "").ok());
  const End end = agent.wait_for_end();
  CHECK(end.state == AttemptState::kSucceeded);
  CHECK(AgentSide::output(plan) == "before\nafter\n");
  MutexLock lock(agent.heard->mutex);
  CHECK(agent.heard->growths > 0);
}

TEST_CASE("a taken-over attempt is cancelled as any other") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo ready; sleep 1012");
  agent.start(plan);
  REQUIRE(agent.says(plan, "ready"));
  const ProcessName name = agent.name();
  agent.on_strand([&] { agent.process.reset(); });
  agent.heard = std::make_shared<Heard>();
  agent.open_host();
  agent.adopt(plan, name);
  agent.cancel("late");
  const End end = agent.wait_for_end();
  CHECK(end.state == AttemptState::kCancelled);
  CHECK(end.outcome.message == "late");
}

TEST_CASE("an attempt whose process ended meanwhile has the outcome of its file, or is interrupted") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo quick");
  agent.start(plan);
  const ProcessName name = agent.name();
  agent.on_strand([&] { agent.process.reset(); });
  REQUIRE(becomes_true([&] { return !is_alive(name.pid); }));
  agent.heard = std::make_shared<Heard>();
  agent.adopt(plan, name);
  CHECK(agent.wait_for_end().state == AttemptState::kSucceeded);

  REQUIRE(::truncate(plan.files.result().c_str(), 3) == 0);
  agent.heard = std::make_shared<Heard>();
  agent.adopt(plan, name);
  const End end = agent.wait_for_end();
  CHECK(end.state == AttemptState::kInterrupted);
  CHECK(end.outcome.message == "the attempt's process is gone and left no result");
}

TEST_CASE("a stranger who has the number of an attempt's process is neither taken over nor touched") {
  AgentSide agent;
  SpawnOptions options;
  options.argv = {"/bin/sleep", "1013"};
  auto stranger = spawn(options);
  REQUIRE(stranger.ok());
  const AttemptPlan plan = agent.plan_of("echo never");
  for (const bool other_boot : {false, true}) {
    ProcessName name{stranger->pid, process_record(stranger->pid)->start, boot_id()};
    if (other_boot) {
      name.boot = "00000000-0000-0000-0000-000000000000";
    } else {
      ++name.start;
    }
    agent.heard = std::make_shared<Heard>();
    agent.adopt(plan, name);
    agent.cancel("not that one");
    CHECK(agent.wait_for_end().state == AttemptState::kInterrupted);
    CHECK(is_alive(stranger->pid));
  }
  ::kill(stranger->pid, SIGKILL);
  REQUIRE(becomes_true([&] { return !is_alive(stranger->pid); }));
  static_cast<void>(reap(*stranger));
  for (const int fd : {stranger->pidfd, stranger->stdout_fd, stranger->stderr_fd}) ::close(fd);
}

TEST_CASE("the task's own directory is used as it is, and must be there") {
  AgentSide agent;
  TaskSpec spec;
  spec.command = ShellCommand{"pwd; echo $FRESH"};
  spec.workdir = "/usr";
  const AttemptPlan there = agent.plan_of(spec, "there");
  CHECK(agent.run(there).state == AttemptState::kSucceeded);
  CHECK(AgentSide::output(there) == "/usr\nno\n");

  spec.workdir = "sub/dir";
  const AttemptPlan below = agent.plan_of(spec, "below");
  agent.heard = std::make_shared<Heard>();
  CHECK(agent.run(below).state == AttemptState::kSucceeded);
  CHECK(AgentSide::output(below) == below.workspace + "/sub/dir\nyes\n");

  for (const auto& [workdir, problem] :
       {std::pair<std::string, std::string>{"/no/such/place", "no such file"},
        {"../other", "leads out of"}}) {
    spec.workdir = workdir;
    agent.heard = std::make_shared<Heard>();
    const End end = agent.run(agent.plan_of(spec, "t" + std::to_string(workdir.size())));
    CHECK(end.state == AttemptState::kFailed);
    CHECK(contains(end.outcome.message, workdir));
    CHECK(contains(end.outcome.message, problem));
  }
}

TEST_CASE("a request that cannot be read fails the attempt in words") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo never");
  REQUIRE(write_file(plan.files.request(), "\x01nonsense").ok());
  const End end = agent.run(plan);
  CHECK(end.state == AttemptState::kFailed);
  CHECK(contains(end.outcome.message, "bundle"));
}

TEST_CASE("a start that fails leaves nothing, so that it can be tried again") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo again");
  agent.host = std::make_unique<ProcessHost>("/no/such/sloth", agent.executor, agent.clock);
  auto failed = agent.try_start(plan);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().code == Code::kNotFound);
  CHECK_FALSE(exists(plan.files.spool()));
  CHECK_FALSE(exists(plan.workspace));

  agent.open_host();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  failed = agent.try_start(plan);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().code == Code::kLimit);
  CHECK_FALSE(exists(plan.files.spool()));
  CHECK(agent.run(plan).state == AttemptState::kSucceeded);
}

TEST_CASE("files that are there already are not taken for an attempt's own") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo never");
  REQUIRE(::symlink("/dev/null", plan.files.spool().c_str()) == 0);
  CHECK_FALSE(agent.try_start(plan).ok());
  CHECK_FALSE(exists(plan.workspace));
}

TEST_CASE("a host that goes away ends no attempt") {
  AgentSide agent;
  const AttemptPlan plan = agent.plan_of("echo ready; while [ ! -e go ]; do sleep 0.02; done");
  agent.start(plan);
  REQUIRE(agent.says(plan, "ready"));
  const ProcessName name = agent.name();
  agent.on_strand([&] { agent.process.reset(); });
  agent.host.reset();
  CHECK(is_alive(name.pid));
  REQUIRE(write_file(plan.workspace + "/go", "").ok());
  REQUIRE(becomes_true([&] {
    auto result = read_result(plan.files.result());
    return result.ok() && result->has_value();
  }));
  REQUIRE(becomes_true([&] { return !is_alive(name.pid); }));
  MutexLock lock(agent.heard->mutex);
  CHECK(agent.heard->ends == 0);
}

TEST_CASE("many attempts at once each have their own end") {
  AgentSide agent;
  constexpr int kCount = 12;
  std::vector<AttemptPlan> plans;
  std::vector<std::shared_ptr<Heard>> heard;
  std::vector<std::unique_ptr<AttemptProcess>> processes;
  for (int i = 0; i < kCount; ++i) {
    plans.push_back(agent.plan_of(fmt::format("echo {}; setsid env -i sleep 1014 & exit {}", i, i % 3),
                                  fmt::format("m{}", i)));
    agent.heard = std::make_shared<Heard>();
    heard.push_back(agent.heard);
    agent.start(plans.back());
    processes.push_back(std::move(agent.process));
  }
  for (std::size_t i = 0; i < plans.size(); ++i) {
    agent.heard = heard[i];
    const End end = agent.wait_for_end();
    CHECK(end.state == (i % 3 == 0 ? AttemptState::kSucceeded : AttemptState::kFailed));
    CHECK(AgentSide::output(plans[i]) == fmt::format("{}\n", i));
    CHECK(tree_of(0, plans[i].id).empty());
  }
  agent.on_strand([&] { processes.clear(); });
}

}  // namespace sloth
