#include "cmd/commands/runs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/wire.h"
#include "cmd/console.h"
#include "cmd/delegation.h"
#include "cmd/exit_code.h"
#include "cmd/loading.h"
#include "cmd/past_runs.h"
#include "cmd/resumption.h"
#include "runner/base/duration.h"
#include "runner/base/json.h"
#include "runner/base/mutex.h"
#include "runner/store/run_log.h"

namespace sloth {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  sloth runs list               the newest first\n"
    "  sloth runs show               the last one: its tasks and how they ended\n"
    "  sloth runs show ID TASK       everything that task wrote\n"
    "  sloth runs attach ID          follows what a run left on agents, from its first byte\n"
    "  sloth runs cancel ID          ends it\n"
    "  sloth runs resume ID          goes on with a run that broke off or failed: not with what is done\n";

constexpr std::chrono::seconds kWait{10};

std::string time_text(std::int64_t wall_ms) {
  const std::time_t seconds = wall_ms / 1000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%F %T", &parts);
  return text.data();
}

std::string state_of(const RunRecord& run) {
  if (run.ended_ms != 0) return run.exit_code == 0 ? "ok" : fmt::format("exit {}", run.exit_code);
  return is_running(run) ? "running" : "broken off";
}

int list_runs(const std::string& output, std::size_t limit) {
  const Config config = Config::from_environment();
  auto log = open_past_runs(config);
  if (!log) return report_error(log.error());
  const auto runs = (*log)->runs(limit);
  if (!runs) return report_error(runs.error());
  std::string text;
  Value::List list;
  for (const RunRecord& run : *runs) {
    list.emplace_back(Value::Map{{"run", run.id},
                                 {"file", run.file},
                                 {"state", state_of(run)},
                                 {"started_ms", run.started_ms},
                                 {"ended_ms", run.ended_ms},
                                 {"exit_code", run.exit_code}});
    const auto took = std::chrono::milliseconds(run.ended_ms == 0 ? 0 : run.ended_ms - run.started_ms);
    text += fmt::format("{}  {}  {:<10}  {:>8}  {}\n", run.id, time_text(run.started_ms), state_of(run),
                        run.ended_ms == 0 ? "-" : format_duration(took), run.file);
  }
  write_all(STDOUT_FILENO,
            output == "json" ? to_json(Value(Value::Map{{"runs", std::move(list)}})) + "\n" : text);
  return kExitOk;
}

int show_run(const std::string& id, const std::string& task) {
  const Config config = Config::from_environment();
  auto log = open_past_runs(config);
  if (!log) return report_error(log.error());
  const auto run = find_run(**log, id);
  if (!run) return report_error(run.error());
  if (!task.empty()) {
    const auto output = (*log)->output(run->id, task);
    if (!output) return report_error(output.error());
    write_all(STDOUT_FILENO, *output);
    return kExitOk;
  }
  const auto tasks = (*log)->tasks(run->id);
  if (!tasks) return report_error(tasks.error());
  std::size_t width = 4;
  for (const TaskRecord& record : *tasks) width = std::max(width, record.task.size());
  std::string text = fmt::format("run {} of {}\nstarted {}, {}\n", run->id, run->file,
                                 time_text(run->started_ms), state_of(*run));
  for (const TaskRecord& record : *tasks) {
    std::string message = record.message.substr(0, record.message.find('\n'));
    text += fmt::format("  {:<{}}  {:<11}  {:>8}  {}{}\n", record.task, width,
                        record.outcome.empty() ? "running" : record.outcome,
                        format_duration(std::chrono::milliseconds(record.elapsed_ms)),
                        record.agent.empty() ? "" : "on " + record.agent + "  ", message);
  }
  write_all(STDOUT_FILENO, text);
  return kExitOk;
}

// Follows attempts of a run until all have ended.
class Attachment {
 public:
  Attachment(App& app, Console& console) : app_(app), console_(console) {}

  void follow(RunClient& client, const std::string& run, const AttemptSummary& attempt) {
    {
      MutexLock lock(mutex_);
      ++missing_;
    }
    const AttemptKey key = attempt.key;
    const auto emit = [this, run, key](decltype(Event::body) body) {
      console_.on_event(Event{app_.clock().wall_ms(), run, key.task, key.agent, key.number, std::move(body)});
    };
    emit(TaskStarted{});
    client.follow(
        attempt.attempt,
        {.on_status = {}, .on_event = emit, .on_end = [this, emit, key](AttemptState state, Outcome outcome) {
           if (state == AttemptState::kInterrupted || state == AttemptState::kLost) {
             outcome.kind = OutcomeKind::kUnknown;
           }
           outcome.attempts = key.number;
           emit(TaskEnded{outcome});
           ended(outcome.kind);
         }});
  }

  // The exit code that fits all of them.
  int wait() {
    MutexLock lock(mutex_);
    while (missing_ > 0) changed_.wait(mutex_);
    if (kinds_.count(OutcomeKind::kUnknown) > 0) return kExitUnknown;
    return kinds_.size() == 1 && kinds_.count(OutcomeKind::kSucceeded) == 1 ? kExitOk : kExitTaskFailed;
  }

 private:
  void ended(OutcomeKind kind) {
    MutexLock lock(mutex_);
    ++kinds_[kind];
    --missing_;
    changed_.notify_all();
  }

  App& app_;
  Console& console_;
  Mutex mutex_;
  CondVar changed_;
  int missing_ GUARDED_BY(mutex_) = 0;
  std::map<OutcomeKind, int> kinds_ GUARDED_BY(mutex_);
};

int attach(const std::string& id, bool cancel) {
  if (!is_name(id))
    return report_error({Code::kInvalid, fmt::format("\"{}\" is no run; see: sloth runs list", id)});
  App app(Config::from_environment());
  OutputFile out(STDOUT_FILENO, app.executor());
  OutputFile err(STDERR_FILENO, app.executor());
  Console console({.color = app.config().color, .to_terminal = app.config().stdout_is_terminal}, out, err);
  LocalMaster master(local_master_options(app.config()), app.executor(), app.clock());
  Attachment attachment(app, console);
  RunClient client({.run = id, .version = ""}, master, app.executor(), app.clock());
  const auto answer = ask_master(client, ListAttempts{id}, kWait);
  if (!answer) return report_error(answer.error());
  const auto& attempts = std::get<RunAttempts>(*answer).attempts;
  if (attempts.empty()) {
    return report_error(
        {Code::kNotFound, fmt::format("run {} has nothing on agents; see: sloth runs show {}", id, id)});
  }
  for (const AttemptSummary& attempt : attempts) {
    if (cancel && is_terminal(attempt.state)) continue;
    attachment.follow(client, id, attempt);
    if (cancel) client.cancel(attempt.attempt, "cancelled by sloth runs cancel");
  }
  const std::stop_callback on_stop(app.stop(), [] { ::_exit(kExitInterrupted); });
  const int code = attachment.wait();
  return cancel ? kExitOk : code;
}

// Becomes `sloth run` with the words of that run, where it was typed.
int resume(const std::string& id) {
  const auto past = Resumption::of(Config::from_environment(), id);
  if (!past) return report_error(past.error());
  const std::string& run = past->run.id;
  if (past->nothing_left()) {
    write_all(STDOUT_FILENO, fmt::format("nothing left to do: run {} ended well\n", run));
    return kExitOk;
  }
  const auto command = decode_command(past->run);
  if (!command) return report_error(command.error());
  if (::chdir(command->directory.c_str()) != 0) {
    return report_error({Code::kNotFound, fmt::format("run {} was started in {}: {}", run, command->directory,
                                                      std::strerror(errno))});
  }
  std::vector<std::string> words = {"sloth", "run", "--resume", run};
  words.insert(words.end(), command->words.begin(), command->words.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv("/proc/self/exe", argv.data());
  return report_error(
      {Code::kIo, fmt::format("this program cannot be started again: {}", std::strerror(errno))});
}

}  // namespace

void add_runs_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("runs", "Shows past runs; follows and ends what a run left on agents");
  command->footer(kFooter);
  command->require_subcommand(1);

  CLI::App* list = command->add_subcommand("list", "The runs that are recorded, the newest first");
  auto output = std::make_shared<std::string>("text");
  auto limit = std::make_shared<std::size_t>(20);
  list->add_option("--output", *output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("KIND");
  list->add_option("-n,--limit", *limit, "how many; default: 20")->type_name("N");
  list->callback([output, limit, &exit_code] { exit_code = list_runs(*output, *limit); });

  auto id = std::make_shared<std::string>();
  auto task = std::make_shared<std::string>();
  CLI::App* show = command->add_subcommand("show", "How the tasks of a run ended, or what one of them wrote");
  show->add_option("run", *id, "the run; default: the last one")->type_name("RUN");
  show->add_option("task", *task, "everything that it wrote")->type_name("TASK");
  show->callback([id, task, &exit_code] { exit_code = show_run(*id, *task); });

  for (const bool cancel : {false, true}) {
    CLI::App* sub =
        command->add_subcommand(cancel ? "cancel" : "attach", cancel ? "Ends what a run left on agents"
                                                                     : "Follows what a run left on agents");
    sub->add_option("run", *id, "the run")->required()->type_name("RUN");
    sub->callback([id, cancel, &exit_code] { exit_code = attach(*id, cancel); });
  }

  CLI::App* again =
      command->add_subcommand("resume", "Goes on with a run that broke off or failed, under the same id");
  again->add_option("run", *id, "the run")->required()->type_name("RUN");
  again->callback([id, &exit_code] { exit_code = resume(*id); });
}

}  // namespace sloth
