#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "runner/base/json.h"
#include "runner/base/log.h"
#include "runner/base/mutex.h"
#include "runner/store/migrations.h"
#include "runner/store/run_log.h"
#include "runner/store/sqlite.h"
#include "runner/store/task_history.h"

namespace sloth {
namespace {

constexpr std::size_t kRowCost = 64;         // what a buffered row costs beside its bytes, about
constexpr std::size_t kBatchesToRetain = 4;  // while the disk refuses them
constexpr const char* kGap = "\n[sloth: output is missing here, the run log could not be written]\n";

// SQLite takes a negative count for none given.
std::int64_t as_count(std::size_t number) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(number, static_cast<std::size_t>(kMost)));
}

// Prepared once, when the schema is known to be there.
struct Statements {
  Statement insert_run, end_run, select_runs, select_run, surplus_runs, delete_run, open_runs;
  Statement resume_run, select_pid;
  Statement insert_task, update_task, select_tasks, select_task;
  Statement insert_output, select_output, select_sizes, delete_output;
};

Result<void> prepare_all(Database& database, Statements& out) {
  const std::pair<Statement*, const char*> all[] = {
      {&out.insert_run,
       "INSERT INTO runs (id, file, started_ms, ended_ms, exit_code, pid, command) VALUES (?1, ?2, ?3, ?4, "
       "?5, ?6, ?7)"},
      {&out.resume_run, "UPDATE runs SET ended_ms = 0, exit_code = -1, pid = ?3 WHERE row = ?1 AND pid = ?2"},
      {&out.select_pid, "SELECT pid FROM runs WHERE row = ?1"},
      {&out.end_run, "UPDATE runs SET ended_ms = ?2, exit_code = ?3 WHERE row = ?1"},
      {&out.select_runs,
       "SELECT id, file, started_ms, ended_ms, exit_code, pid, command FROM runs "
       "ORDER BY started_ms DESC, row DESC LIMIT ?1"},
      {&out.select_run, "SELECT row FROM runs WHERE id = ?1"},
      {&out.surplus_runs,
       "SELECT row FROM runs WHERE ended_ms <> 0 ORDER BY started_ms DESC, row DESC LIMIT -1 OFFSET ?1"},
      {&out.delete_run, "DELETE FROM runs WHERE row = ?1"},
      {&out.open_runs, "SELECT id, pid FROM runs WHERE ended_ms = 0 ORDER BY started_ms DESC, row DESC"},
      {&out.insert_task,
       "INSERT INTO tasks (run, task, agent, outcome, message, attempts, elapsed_ms, outputs) VALUES (?1, "
       "?2, "
       "?3, ?4, ?5, ?6, ?7, ?8)"},
      {&out.update_task,
       "UPDATE tasks SET agent = ?3, outcome = ?4, message = ?5, attempts = ?6, elapsed_ms = ?7, "
       "outputs = ?8 WHERE row = ?1"},
      {&out.select_tasks,
       "SELECT task, agent, outcome, message, attempts, elapsed_ms, outputs, row FROM tasks WHERE run = ?1 "
       "ORDER BY row"},
      {&out.select_task, "SELECT row FROM tasks WHERE run = ?1 AND task = ?2"},
      {&out.insert_output,
       "INSERT INTO output (task, attempt, at_ms, source, bytes, fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
      {&out.select_output,
       "SELECT bytes FROM output WHERE task = ?1 AND source IN ('stdout', 'stderr') ORDER BY row"},
      {&out.select_sizes,
       "SELECT attempt, sum(length(bytes)) FROM output WHERE task = ?1 AND source IN ('stdout', 'stderr') "
       "GROUP BY attempt"},
      {&out.delete_output, "DELETE FROM output WHERE task = ?1 AND attempt = ?2"},
  };
  for (const auto& [statement, sql] : all) {
    auto prepared = database.prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  return {};
}

class SqliteRunLog final : public RunLog {
 public:
  SqliteRunLog(std::unique_ptr<Database> database, Statements statements, const RunLogLimits& limits)
      : limits_(limits), database_(std::move(database)), sql_(std::move(statements)) {}

  ~SqliteRunLog() override {
    MutexLock lock(mutex_);
    auto written = write_buffered();
    if (lost_to_disk(written)) {
      give_up_output();
      written = write_buffered();
    }
    if (!written) log_warn("{}", written.error().message);
  }

  Result<void> begin(const RunRecord& run) override {
    MutexLock lock(mutex_);
    sql_.insert_run.bind_text(1, run.id).bind_text(2, run.file).bind(3, run.started_ms);
    sql_.insert_run.bind(4, run.ended_ms).bind(5, run.exit_code).bind(6, run.pid).bind_text(7, run.command);
    const auto written = write(&sql_.insert_run);
    if (!written && written.error().code == Code::kRefused) {
      return database_->error(Code::kInvalid, fmt::format("run \"{}\" was begun before", run.id));
    }
    if (written) open_[run.id].row = database_->last_row();
    return written;
  }

  Result<void> resume(const std::string& id, std::int64_t before, std::int64_t pid) override {
    MutexLock lock(mutex_);
    const auto row = run_row(id);
    if (!row) return row.error();
    const auto elsewhere = [&] {
      return database_->error(Code::kInvalid, fmt::format("run \"{}\" goes on in another process", id));
    };
    if (open_.count(id) > 0) return elsewhere();
    if (auto written = write(&sql_.resume_run.bind(1, *row).bind(2, before).bind(3, pid)); !written)
      return written;
    const auto now = one_row(sql_.select_pid.bind(1, *row), "");
    if (!now) return now.error();
    if (*now != pid) return elsewhere();
    Run run;
    run.row = *row;
    if (auto read = read_past(run); !read) return read;
    open_[id] = std::move(run);
    return {};
  }

  Result<void> append(const Event& event) override {
    MutexLock lock(mutex_);
    const auto run = open_.find(event.run);
    if (run == open_.end()) return unknown_run(event.run);
    if (event.task.empty()) return {};
    remember(run->second, event);
    const bool full = buffered_bytes_ >= limits_.batch_bytes && !failing_;
    const bool old = std::chrono::steady_clock::now() - last_write_ >= limits_.batch_age;
    return full || old ? write() : Result<void>();
  }

  Result<void> flush() override {
    MutexLock lock(mutex_);
    return write_buffered();
  }

  Result<void> end(const std::string& id, std::int64_t ended_ms, int exit_code) override {
    MutexLock lock(mutex_);
    const auto run = open_.find(id);
    if (run == open_.end()) return unknown_run(id);
    auto written = write(&bind_end(run->second.row, ended_ms, exit_code));
    if (lost_to_disk(written)) {
      give_up_output();  // how the run ended matters more
      written = write(&bind_end(run->second.row, ended_ms, exit_code));
    }
    if (written) open_.erase(run);
    return written;
  }

  Result<std::vector<RunRecord>> runs(std::size_t limit) override {
    MutexLock lock(mutex_);
    if (auto written = write_buffered(); !written) return written.error();
    sql_.select_runs.bind(1, as_count(limit));
    std::vector<RunRecord> records;
    const auto read = each_row(sql_.select_runs, [&](const Statement& row) {
      records.push_back(RunRecord{row.bytes(0), row.bytes(1), row.integer(2), row.integer(3),
                                  static_cast<int>(row.integer(4)), row.integer(5), row.bytes(6)});
    });
    if (!read) return read.error();
    return records;
  }

  Result<std::vector<TaskRecord>> tasks(const std::string& id) override {
    MutexLock lock(mutex_);
    if (auto written = write_buffered(); !written) return written.error();
    const auto run = run_row(id);
    if (!run) return run.error();
    std::vector<TaskRecord> records;
    sql_.select_tasks.bind(1, *run);
    const auto read =
        each_row(sql_.select_tasks, [&](const Statement& row) { records.push_back(task_record(row)); });
    if (!read) return read.error();
    return records;
  }

  Result<std::string> output(const std::string& id, const std::string& name) override {
    MutexLock lock(mutex_);
    if (auto written = write_buffered(); !written) return written.error();
    const auto run = run_row(id);
    if (!run) return run.error();
    const auto task = one_row(sql_.select_task.bind(1, *run).bind_text(2, name),
                              fmt::format("run \"{}\" has no task \"{}\"", id, name));
    if (!task) return task.error();
    std::string bytes;
    sql_.select_output.bind(1, *task);
    const auto read = each_row(sql_.select_output, [&](const Statement& row) { bytes += row.bytes(0); });
    if (!read) return read.error();
    return bytes;
  }

  Result<void> prune(std::size_t keep) override {
    MutexLock lock(mutex_);
    if (auto written = write_buffered(); !written) return written;
    std::vector<std::int64_t> surplus;
    sql_.surplus_runs.bind(1, as_count(keep));
    const auto read =
        each_row(sql_.surplus_runs, [&](const Statement& row) { surplus.push_back(row.integer(0)); });
    if (!read) return read;
    // A transaction each: a run may hold gigabytes, and others want to write too.
    for (const std::int64_t row : surplus) {
      if (auto removed = sql_.delete_run.bind(1, row).run(); !removed) return removed;
    }
    return {};
  }

 private:
  struct Piece {
    std::int64_t at_ms = 0;
    int attempt = 0;
    std::string_view source;  // stream_name() or severity_name()
    std::string bytes;
    std::string fields;
  };
  struct Task {
    TaskRecord record;
    std::int64_t row = 0;  // 0: not in the file yet
    OutputBudget budget;
    std::vector<Piece> pieces;  // not in the file yet
    bool changed = false;       // it, or a piece, is not in the file yet: stands in changed_
    // Bytes that an earlier process of the run kept, by attempt; of what began again, the file's are to go.
    std::map<int, std::size_t> earlier = {};
    std::optional<int> again = {};
  };
  struct Run {
    std::int64_t row = 0;
    std::map<std::string, Task> tasks;
  };

  Error unknown_run(const std::string& id) const {
    return database_->error(Code::kNotFound, fmt::format("no run \"{}\" is being recorded", id));
  }

  static TaskRecord task_record(const Statement& row) {
    TaskRecord record{
        row.bytes(0),   row.bytes(1), row.bytes(2), row.bytes(3), static_cast<int>(row.integer(4)),
        row.integer(5), std::nullopt};
    if (auto outputs = from_json(row.bytes(6))) record.outputs = std::move(*outputs);
    return record;
  }

  // The tasks of a run that goes on.
  Result<void> read_past(Run& run) REQUIRES(mutex_) {
    sql_.select_tasks.bind(1, run.row);
    auto read = each_row(sql_.select_tasks, [&](const Statement& row) {
      Task task{task_record(row), row.integer(7), OutputBudget(limits_.output_bytes), {}};
      run.tasks.emplace(task.record.task, std::move(task));
    });
    for (auto& entry : run.tasks) {
      if (!read) return read;
      Task& task = entry.second;
      sql_.select_sizes.bind(1, task.row);
      read = each_row(sql_.select_sizes, [&](const Statement& row) {
        task.earlier[static_cast<int>(row.integer(0))] = static_cast<std::size_t>(row.integer(1));
      });
      task.budget = earlier_budget(task);
    }
    return read;
  }

  OutputBudget earlier_budget(const Task& task) const {
    std::size_t used = 0;
    for (const auto& [attempt, bytes] : task.earlier) used += bytes;
    return OutputBudget(limits_.output_bytes, used);
  }

  static bool lost_to_disk(const Result<void>& written) {
    return !written && written.error().code == Code::kIo;
  }

  Statement& bind_end(std::int64_t row, std::int64_t ended_ms, int exit_code) REQUIRES(mutex_) {
    return sql_.end_run.bind(1, row).bind(2, ended_ms).bind(3, exit_code);
  }

  void remember(Run& run, const Event& event) REQUIRES(mutex_) {
    auto found = run.tasks.find(event.task);
    if (found == run.tasks.end()) {
      found = run.tasks.emplace(event.task, Task{{}, 0, OutputBudget(limits_.output_bytes), {}, false}).first;
      found->second.record.task = event.task;
    }
    Task& task = found->second;
    if (!task.changed) {
      task.changed = true;
      changed_.emplace_back(&run, &task);
    }
    buffered_bytes_ += kRowCost;
    if (std::holds_alternative<TaskStarted>(event.body) && task.earlier.erase(event.attempt) > 0) {
      task.again = event.attempt;
      task.budget = earlier_budget(task);
    }
    if (update_record(task.record, event)) return;
    if (const auto* output = std::get_if<TaskOutput>(&event.body)) {
      add_piece(task, event, stream_name(output->stream), task.budget.take(output->bytes), "");
    } else if (const auto* log = std::get_if<TaskLog>(&event.body)) {
      const bool plain = log->fields.is_map() && log->fields.as_map().empty();
      add_piece(task, event, severity_name(log->severity), log->text, plain ? "" : to_json(log->fields));
    }
  }

  void add_piece(Task& task, const Event& event, std::string_view source, std::string bytes,
                 std::string fields) REQUIRES(mutex_) {
    const bool output = std::holds_alternative<TaskOutput>(event.body);
    if (output && bytes.empty()) return;
    buffered_bytes_ += bytes.size() + fields.size();
    // A task that prints byte by byte must not make a row of each.
    if (output && !task.pieces.empty() && task.pieces.back().source == source &&
        task.pieces.back().attempt == event.attempt) {
      task.pieces.back().bytes += bytes;
      return;
    }
    task.pieces.push_back(Piece{event.wall_ms, event.attempt, source, std::move(bytes), std::move(fields)});
  }

  Result<void> write_buffered() REQUIRES(mutex_) { return changed_.empty() ? Result<void>() : write(); }

  // Writes all that is buffered, and runs `also` with its parameters bound, in one transaction.
  Result<void> write(Statement* also = nullptr) REQUIRES(mutex_) {
    std::vector<Task*> inserted;
    // The analysis does not see that the lambda runs right here.
    const auto body = [&]() NO_THREAD_SAFETY_ANALYSIS -> Result<void> {
      for (const auto& [run, task] : changed_) {
        if (task->row == 0) inserted.push_back(task);
        if (auto done = write_task(*run, *task); !done) return done;
      }
      return also ? also->run() : Result<void>();
    };
    const auto written = database_->transaction(body);
    if (also) also->reset();
    last_write_ = std::chrono::steady_clock::now();
    failing_ = !written;
    if (!written) {
      for (Task* task : inserted) task->row = 0;
      if (buffered_bytes_ > kBatchesToRetain * limits_.batch_bytes) give_up_output();
      return with_holder(written.error());
    }
    for (const auto& entry : changed_) {
      entry.second->changed = false;
      entry.second->pieces.clear();
      entry.second->again.reset();
    }
    changed_.clear();
    buffered_bytes_ = 0;
    return {};
  }

  Result<void> write_task(const Run& run, Task& task) REQUIRES(mutex_) {
    const TaskRecord& record = task.record;
    Statement& statement = task.row == 0 ? sql_.insert_task : sql_.update_task;
    if (task.row == 0) {
      statement.bind(1, run.row).bind_text(2, record.task);
    } else {
      statement.bind(1, task.row);
    }
    statement.bind_text(3, record.agent).bind_text(4, record.outcome).bind_text(5, record.message);
    const std::string outputs = record.outputs ? to_json(*record.outputs) : "";
    statement.bind(6, record.attempts).bind(7, record.elapsed_ms).bind_text(8, outputs);
    if (auto done = statement.run(); !done) return done;
    if (task.row == 0) task.row = database_->last_row();
    if (task.again) {
      if (auto gone = sql_.delete_output.bind(1, task.row).bind(2, *task.again).run(); !gone) return gone;
    }
    for (const Piece& piece : task.pieces) {
      sql_.insert_output.bind(1, task.row).bind(2, piece.attempt).bind(3, piece.at_ms);
      sql_.insert_output.bind_text(4, piece.source).bind_blob(5, piece.bytes).bind_text(6, piece.fields);
      if (auto done = sql_.insert_output.run(); !done) return done;
    }
    return {};
  }

  void give_up_output() REQUIRES(mutex_) {
    buffered_bytes_ = 0;
    for (const auto& entry : changed_) {
      Task& task = *entry.second;
      buffered_bytes_ += kRowCost;
      if (task.pieces.empty()) continue;
      const Piece& last = task.pieces.back();
      task.pieces = {Piece{last.at_ms, last.attempt, stream_name(OutputStream::kStdout), kGap, ""}};
    }
  }

  // The likely one: the newest run that has not ended and is not ours. In WAL mode reading needs no lock.
  Error with_holder(Error error) REQUIRES(mutex_) {
    if (error.code != Code::kUnavailable) return error;
    std::vector<std::pair<std::string, std::int64_t>> running;
    const auto read = each_row(
        sql_.open_runs, [&](const Statement& row) { running.emplace_back(row.bytes(0), row.integer(1)); });
    if (!read) return error;
    for (const auto& [id, pid] : running) {
      if (open_.count(id) > 0) continue;
      error.message += fmt::format(" (probably run {}, pid {})", id, pid);
      break;
    }
    return error;
  }

  Result<std::int64_t> run_row(const std::string& id) REQUIRES(mutex_) {
    return one_row(sql_.select_run.bind_text(1, id), fmt::format("no run \"{}\"", id));
  }

  Result<std::int64_t> one_row(Statement& statement, const std::string& otherwise) {
    const auto found = statement.step();
    if (!found) return found.error();
    if (!*found) return database_->error(Code::kNotFound, otherwise);
    const std::int64_t row = statement.integer(0);
    statement.reset();
    return row;
  }

  template <class Use>
  static Result<void> each_row(Statement& statement, Use&& use) {
    while (true) {
      const auto row = statement.step();
      if (!row) return row.error();
      if (!*row) return {};
      use(statement);
    }
  }

  const RunLogLimits limits_;

  Mutex mutex_;
  // The pointer itself never changes; its statements go before it.
  const std::unique_ptr<Database> database_;
  Statements sql_ GUARDED_BY(mutex_);
  std::map<std::string, Run> open_ GUARDED_BY(mutex_);              // begun here and not ended
  std::vector<std::pair<Run*, Task*>> changed_ GUARDED_BY(mutex_);  // in the order of the first change
  std::size_t buffered_bytes_ GUARDED_BY(mutex_) = 0;
  bool failing_ GUARDED_BY(mutex_) = false;  // the last write failed: wait out batch_age before the next
  TimePoint last_write_ GUARDED_BY(mutex_) = std::chrono::steady_clock::now();
};

}  // namespace

Result<std::unique_ptr<RunLog>> open_sqlite_run_log(const std::string& path, const RunLogLimits& limits) {
  auto database = Database::open(path, {"run log", limits.busy_wait});
  if (!database) return database.error();
  const Schema schema = run_log_schema();
  if (auto checked = check_schema(**database, schema); !checked) return checked.error();
  if (auto done = (*database)->configure(); !done) return done.error();
  if (auto migrated = migrate(**database, schema); !migrated) return migrated.error();
  if (limits.database_bytes > 0) {
    if (auto limited = (*database)->limit_size(limits.database_bytes); !limited) return limited.error();
  }
  Statements statements;
  if (auto prepared = prepare_all(**database, statements); !prepared) return prepared.error();
  return std::unique_ptr<RunLog>(
      std::make_unique<SqliteRunLog>(std::move(*database), std::move(statements), limits));
}

}  // namespace sloth
