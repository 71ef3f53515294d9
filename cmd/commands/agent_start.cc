#include "cmd/commands/agent_start.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <ctime>
#include <future>

#include "agent/agent.h"
#include "agent/process_host.h"
#include "agent/wire.h"
#include "cmd/delegation.h"
#include "cmd/exit_code.h"
#include "cmd/loading.h"
#include "cmd/output_file.h"
#include "runner/base/duration.h"
#include "runner/base/version.h"
#include "runner/os/descriptor.h"
#include "runner/os/file_tree.h"
#include "runner/os/process.h"
#include "runner/os/signals.h"

namespace sloth {
namespace {

constexpr const char* kPolicyFile = "/etc/sloth/agent.json";
constexpr std::uint64_t kMostLogBytes = std::uint64_t{1} << 20;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "agent";
  return name.data();
}

// On stderr and in the agent's log, which starts anew when it has grown large.
class Notes {
 public:
  Notes(std::string log, bool quiet) : log_(std::move(log)), quiet_(quiet) {
    const auto info = stat_file(log_);
    if (info && info->size > kMostLogBytes) static_cast<void>(rename_path(log_, log_ + ".1"));
    // Private: the directory of an agent that is root can be passed through.
    const Descriptor file(::open(log_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file.open()) static_cast<void>(::fchmod(file.get(), 0600));
  }
  void operator()(const std::string& text) const {
    if (!quiet_) write_all(STDERR_FILENO, text + "\n");
    std::array<char, 32> time{};
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::localtime_r(&now, &parts);
    std::strftime(time.data(), time.size(), "%F %T", &parts);
    static_cast<void>(append_file(log_, fmt::format("{} {}\n", time.data(), text)));
  }

 private:
  const std::string log_;
  const bool quiet_;
};

int code_for(const Error& error) {
  report_error(error);
  return error.code == Code::kInvalid || error.code == Code::kUnavailable || error.code == Code::kIo ? kExitStore
                                                                                                      : kExitUsage;
}

}  // namespace

std::string agent_log_path(const std::string& agents_directory, const std::string& name) {
  return agents_directory + "/" + name + "/agent.log";
}

int start_agent(const AgentStartFlags& flags) {
  const Config config = Config::from_environment();
  Agent::Options options;
  options.name = flags.name.empty() ? host_name() : flags.name;
  if (!is_name(options.name)) {
    return report_error({Code::kInvalid, fmt::format("\"{}\" is no agent name: 1 to 63 letters, digits, '.', '_' and "
                                                     "'-'; give one with --name",
                                                     options.name)});
  }
  Duration drain_timeout{};
  if (!flags.drain_timeout.empty()) {
    const auto read = parse_duration(flags.drain_timeout);
    if (!read) return report_error(read.error().in("--drain-timeout"));
    drain_timeout = *read;
  }
  options.directory = agents_directory(config) + "/" + options.name;
  options.version = version();
  options.host = host_name();
  auto policy = AgentPolicy::load(flags.policy.empty() ? kPolicyFile : flags.policy);
  if (!policy) return report_error(policy.error());
  options.policy = std::move(*policy);
  if (auto made = make_directory(options.directory); !made) return code_for(made.error());

  become_subreaper();
  raise_descriptor_limit();
  const Notes note(agent_log_path(agents_directory(config), options.name), flags.quiet);
  std::promise<void> drained;
  std::atomic<bool> leaving{false};
  const auto leave = [&] {
    if (!leaving.exchange(true)) drained.set_value();
  };
  std::atomic<int> asked{0};
  std::atomic<Agent*> live{nullptr};
  const auto on_signal = [&](int, int) {
    Agent* agent = live;
    const int count = ++asked;
    if (agent == nullptr || count > 2) return leave();
    if (count == 2) {
      note("cancelling what runs (once more: leave at once; it goes on without an agent)");
      return agent->cancel_all("the agent was told to stop");
    }
    note("draining: no new work; leaving when what runs is done (once more: cancel it)");
    agent->drain(leave);
  };

  SignalWatch signals(on_signal);
  SystemClock clock;
  Executor executor({.workers = config.cores});
  LocalMaster master(local_master_options(config), executor, clock);
  master.on_note([&note](const std::string& text) { note("master: " + text); });
  ProcessHost host("/proc/self/exe", executor, clock);
  const std::string name = options.name;
  auto agent = Agent::open(std::move(options), {executor, clock, master, host});
  if (!agent) return code_for(agent.error());
  (*agent)->on_note([&note, name](const std::string& text) { note(fmt::format("agent {}: {}", name, text)); });
  (*agent)->on_drain_asked([&, leaver = agent->get()] { leaver->drain(leave); });
  (*agent)->start();
  live = agent->get();
  std::future<void> done = drained.get_future();
  if (drain_timeout == Duration::zero()) {
    done.wait();
  } else {
    while (asked == 0 && done.wait_for(std::chrono::seconds(1)) == std::future_status::timeout) {
    }
    if (done.wait_for(drain_timeout) == std::future_status::timeout) {
      note("the time to drain is over: cancelling what runs");
      (*agent)->cancel_all("drain");
      done.wait();
    }
  }
  live = nullptr;
  agent->reset();
  return kExitOk;
}

}  // namespace sloth
