#include "cmd/commands/master.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <future>
#include <memory>

#include "cmd/delegation.h"
#include "cmd/exit_code.h"
#include "cmd/loading.h"
#include "cmd/output_file.h"
#include "runner/base/duration.h"
#include "runner/os/process.h"
#include "runner/os/signals.h"

namespace sloth {
namespace {

constexpr const char* kFooter =
    "On one machine nobody needs this: whoever needs a master first (an agent, a run) hosts it. A process of its own\n"
    "keeps it where it is while agents and runs come and go.\n";

struct MasterFlags {
  std::string lease = "30s";
  std::string reconcile = "2m";
};

int start_master(const MasterFlags& flags) {
  const Config config = Config::from_environment();
  LocalMaster::Options options = local_master_options(config);
  const auto lease = parse_duration(flags.lease);
  if (!lease) return report_error(lease.error().in("--lease"));
  const auto reconcile = parse_duration(flags.reconcile);
  if (!reconcile) return report_error(reconcile.error().in("--reconcile"));
  options.master.lease = *lease;
  options.master.heartbeat = *lease / 3;
  options.master.reconcile = *reconcile;

  raise_descriptor_limit();
  std::promise<void> told;
  std::atomic<bool> leaving{false};
  SignalWatch signals([&](int, int) {
    if (!leaving.exchange(true)) told.set_value();
  });
  SystemClock clock;
  Executor executor({.workers = config.cores});
  LocalMaster master(std::move(options), executor, clock);
  master.on_note([](const std::string& text) { write_all(STDERR_FILENO, "master: " + text + "\n"); });
  const auto hosts = master.host();
  if (!hosts) {
    report_error(hosts.error());
    return kExitStore;
  }
  if (!*hosts) {
    report_error({Code::kUnavailable, fmt::format("another process hosts the master in {}", master_directory(config))});
    return kExitStore;
  }
  write_all(STDERR_FILENO, fmt::format("master: ready in {}\n", master_directory(config)));
  told.get_future().wait();
  return kExitOk;
}

}  // namespace

void add_master_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("master", "Hosts the master that agents and runs meet at");
  command->require_subcommand(1);
  CLI::App* start = command->add_subcommand("start", "Hosts it until SIGTERM or Ctrl-C; attempts go on without it");
  start->footer(kFooter);
  auto flags = std::make_shared<MasterFlags>();
  start->add_option("--lease", flags->lease, "an agent silent for that long: its tasks are unknown; default: 30s")
      ->type_name("TIME");
  start->add_option("--reconcile", flags->reconcile, "after a start nothing is given up as lost before; default: 2m")
      ->type_name("TIME");
  start->callback([flags, &exit_code] { exit_code = start_master(*flags); });
}

}  // namespace sloth
