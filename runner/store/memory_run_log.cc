#include <algorithm>
#include <map>

#include "runner/base/mutex.h"
#include "runner/store/run_log.h"
#include "runner/store/task_history.h"

namespace sloth {
namespace {

Error unknown_run(const std::string& run) {
  return Error{Code::kNotFound, "run log: no run \"" + run + "\""};
}

class MemoryRunLog final : public RunLog {
 public:
  explicit MemoryRunLog(const RunLogLimits& limits) : limits_(limits) {}

  Result<void> begin(const RunRecord& run) override {
    MutexLock lock(mutex_);
    if (find(run.id)) return Error{Code::kInvalid, "run log: run \"" + run.id + "\" was begun before"};
    runs_.push_back(Run{run, {}, {}});
    return {};
  }

  Result<void> resume(const std::string& id, std::int64_t before, std::int64_t pid) override {
    MutexLock lock(mutex_);
    Run* run = find(id);
    if (!run) return unknown_run(id);
    if (run->record.ended_ms == 0 || run->record.pid != before) {
      return Error{Code::kInvalid, "run log: run \"" + id + "\" goes on in another process"};
    }
    run->record.ended_ms = 0;
    run->record.exit_code = -1;
    run->record.pid = pid;
    for (Task& task : run->tasks) task.attempts_before = task.record.attempts;
    return {};
  }

  Result<void> append(const Event& event) override {
    MutexLock lock(mutex_);
    Run* run = find(event.run);
    if (!run || run->record.ended_ms != 0) return unknown_run(event.run);
    if (event.task.empty()) return {};
    Task& task = run->task(event.task, limits_.output_bytes);
    update_record(task.record, event);
    if (std::holds_alternative<TaskStarted>(event.body) && event.attempt <= task.attempts_before) {
      task.output.erase(event.attempt);
      task.budget = OutputBudget(limits_.output_bytes, task.all_output().size());
    }
    if (const auto* output = std::get_if<TaskOutput>(&event.body))
      task.output[event.attempt] += task.budget.take(output->bytes);
    return {};
  }

  Result<void> end(const std::string& id, std::int64_t ended_ms, int exit_code) override {
    MutexLock lock(mutex_);
    Run* run = find(id);
    if (!run || run->record.ended_ms != 0) return unknown_run(id);
    run->record.ended_ms = ended_ms;
    run->record.exit_code = exit_code;
    return {};
  }

  Result<std::vector<RunRecord>> runs(std::size_t limit) override {
    MutexLock lock(mutex_);
    std::vector<RunRecord> records;
    for (const Run* run : newest_first()) {
      if (records.size() == limit) break;
      records.push_back(run->record);
    }
    return records;
  }

  Result<std::vector<TaskRecord>> tasks(const std::string& id) override {
    MutexLock lock(mutex_);
    const Run* run = find(id);
    if (!run) return unknown_run(id);
    std::vector<TaskRecord> records;
    for (const Task& task : run->tasks) records.push_back(task.record);
    return records;
  }

  Result<std::string> output(const std::string& id, const std::string& name) override {
    MutexLock lock(mutex_);
    const Run* run = find(id);
    if (!run) return unknown_run(id);
    if (const auto at = run->places.find(name); at != run->places.end())
      return run->tasks[at->second].all_output();
    return Error{Code::kNotFound, "run log: run \"" + id + "\" has no task \"" + name + "\""};
  }

  Result<void> prune(std::size_t keep) override {
    MutexLock lock(mutex_);
    std::vector<std::string> surplus;
    for (const Run* run : newest_first()) {
      if (run->record.ended_ms == 0) continue;
      if (keep > 0) {
        --keep;
      } else {
        surplus.push_back(run->record.id);
      }
    }
    for (const std::string& id : surplus) {
      std::erase_if(runs_, [&](const Run& run) { return run.record.id == id; });
    }
    return {};
  }

 private:
  struct Task {
    TaskRecord record;
    OutputBudget budget;
    std::map<int, std::string> output;  // by attempt
    int attempts_before = 0;            // those that an earlier process of the run had started

    [[nodiscard]] std::string all_output() const {
      std::string all;
      for (const auto& [attempt, bytes] : output) all += bytes;
      return all;
    }
  };
  struct Run {
    RunRecord record;
    std::vector<Task> tasks;                    // in the order first heard of
    std::map<std::string, std::size_t> places;  // of a task by name

    Task& task(const std::string& name, std::size_t output_limit) {
      const auto [at, added] = places.emplace(name, tasks.size());
      if (added) {
        TaskRecord fresh;
        fresh.task = name;
        tasks.push_back(Task{std::move(fresh), OutputBudget(output_limit), {}, 0});
      }
      return tasks[at->second];
    }
  };

  Run* find(const std::string& id) REQUIRES(mutex_) {
    for (Run& run : runs_) {
      if (run.record.id == id) return &run;
    }
    return nullptr;
  }
  std::vector<const Run*> newest_first() const REQUIRES(mutex_) {
    std::vector<const Run*> sorted;
    for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) sorted.push_back(&*run);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Run* a, const Run* b) { return a->record.started_ms > b->record.started_ms; });
    return sorted;
  }

  const RunLogLimits limits_;
  Mutex mutex_;
  std::vector<Run> runs_ GUARDED_BY(mutex_);  // in the order begun
};

}  // namespace

std::unique_ptr<RunLog> make_memory_run_log(const RunLogLimits& limits) {
  return std::make_unique<MemoryRunLog>(limits);
}

}  // namespace sloth
