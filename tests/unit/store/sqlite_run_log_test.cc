// What only a file can get wrong.
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "runner/store/run_log.h"
#include "tests/unit/store/events.h"
#include "tests/unit/store/temp_dir.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

namespace fs = std::filesystem;

// Nothing is written because of time or size: only what must be.
RunLogLimits patient() {
  RunLogLimits limits;
  limits.batch_age = std::chrono::hours(1);
  return limits;
}

std::unique_ptr<RunLog> open(const std::string& path, const RunLogLimits& limits = {}) {
  auto log = open_sqlite_run_log(path, limits);
  if (!log) FAIL(log.error().message);
  return std::move(*log);
}

Error open_error(const std::string& path) {
  auto log = open_sqlite_run_log(path);
  REQUIRE_FALSE(log);
  return log.error();
}

// A second connection that knows nothing of our code.
class Raw {
 public:
  explicit Raw(const std::string& path) { REQUIRE(sqlite3_open(path.c_str(), &handle_) == SQLITE_OK); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  ~Raw() { sqlite3_close(handle_); }
  // The first column of the last row, "" when there is none.
  std::string run(const std::string& sql) {
    std::string value;
    char* message = nullptr;
    const auto take = [](void* out, int columns, char** values, char**) {
      if (columns > 0 && values[0]) *static_cast<std::string*>(out) = values[0];
      return 0;
    };
    const int code = sqlite3_exec(handle_, sql.c_str(), take, &value, &message);
    if (code != SQLITE_OK) FAIL(sql << ": " << message);
    return value;
  }

 private:
  sqlite3* handle_ = nullptr;
};

// Folds the log into the file, so that the file alone has everything.
void checkpoint(const std::string& path) { Raw(path).run("PRAGMA wal_checkpoint(TRUNCATE)"); }

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777U;
}

TEST_CASE("Missing directories and the file are made for the user alone") {
  const TempDir dir;
  const std::string path = dir.file("a/b/runs.db");
  open(path);
  CHECK(mode_of(dir.file("a")) == 0700);
  CHECK(mode_of(dir.file("a/b")) == 0700);
  CHECK(mode_of(path) == 0600);
}

TEST_CASE("A directory that is there keeps its mode") {
  const TempDir dir;
  fs::create_directory(dir.path() / "shared");
  fs::permissions(dir.path() / "shared", fs::perms(0755));
  open(dir.file("shared/runs.db"));
  CHECK(mode_of(dir.file("shared")) == 0755);
}

TEST_CASE("What was recorded is there after closing and opening again") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  {
    const auto log = open(path, patient());
    REQUIRE(log->begin(run_of("r1")));
    REQUIRE(log->append(output_of("r1", "a", "hello\n")));
    REQUIRE(log->append(end_of("r1", "a")));
    REQUIRE(log->end("r1", 2000, 0));
    REQUIRE(log->begin(run_of("r2", 3000)));
    REQUIRE(log->append(output_of("r2", "a", "not flushed by anybody")));
  }
  const auto log = open(path);
  REQUIRE(log->runs(10)->size() == 2);
  CHECK(log->runs(10)->front().ended_ms == 0);
  CHECK(*log->output("r1", "a") == "hello\n");
  CHECK(log->tasks("r1")->front().message == "message of a");
  CHECK(*log->output("r2", "a") == "not flushed by anybody");
  CHECK(log->append(output_of("r2", "a", "x")).error().code == Code::kNotFound);
  CHECK(Raw(path).run("PRAGMA integrity_check") == "ok");
}

TEST_CASE("Two handles on one file see each other's runs") {
  const TempDir dir;
  const auto one = open(dir.file("runs.db"));
  const auto two = open(dir.file("runs.db"));
  REQUIRE(one->begin(run_of("r1", 1)));
  REQUIRE(two->begin(run_of("r2", 2)));
  REQUIRE(one->append(output_of("r1", "a", "from one")));
  REQUIRE(two->append(output_of("r2", "a", "from two")));
  REQUIRE(one->end("r1", 3, 0));
  REQUIRE(two->end("r2", 4, 0));
  CHECK(*two->output("r1", "a") == "from one");
  CHECK(*one->output("r2", "a") == "from two");
  CHECK(one->begin(run_of("r2")).error().code == Code::kInvalid);
  REQUIRE(two->prune(0));
  CHECK(one->runs(10)->empty());
}

TEST_CASE("Many may make the same file at the same time") {
  const TempDir dir;
  const std::string path = dir.file("state/runs.db");
  std::vector<std::string> errors(8);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    threads.emplace_back([&, i] {
      auto log = open_sqlite_run_log(path);
      if (!log) {
        errors[i] = log.error().message;
      } else if (const auto begun = (*log)->begin(run_of("r" + std::to_string(i))); !begun) {
        errors[i] = begun.error().message;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(errors == std::vector<std::string>(errors.size()));
  CHECK(open(path)->runs(100)->size() == errors.size());
}

TEST_CASE("Events are written in batches: by age, by size, at the end of the run, or when asked") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  const auto written = [&] { return Raw(path).run("SELECT count(*) FROM tasks"); };
  RunLogLimits limits = patient();

  SECTION("a thousand trivial tasks are one transaction") {
    const auto log = open(path, limits);
    REQUIRE(log->begin(run_of("r1")));
    for (int i = 0; i < 1000; ++i) {
      const std::string task = "t" + std::to_string(i);
      REQUIRE(log->append(event_of("r1", task, TaskStarted{})));
      REQUIRE(log->append(end_of("r1", task)));
    }
    CHECK(written() == "0");
    SECTION("until flush") { REQUIRE(log->flush()); }
    SECTION("until the run ends") { REQUIRE(log->end("r1", 2000, 0)); }
    SECTION("until somebody reads") { REQUIRE(log->tasks("r1")->size() == 1000); }
    CHECK(written() == "1000");
  }
  SECTION("a full batch is written") {
    limits.batch_bytes = 10'000;
    const auto log = open(path, limits);
    REQUIRE(log->begin(run_of("r1")));
    REQUIRE(log->append(output_of("r1", "a", std::string(9'000, 'x'))));
    CHECK(written() == "0");
    REQUIRE(log->append(output_of("r1", "a", std::string(1'000, 'x'))));
    CHECK(written() == "1");
    CHECK(Raw(path).run("SELECT count(*) FROM output") == "1");
  }
  SECTION("an old batch is written by the next event") {
    limits.batch_age = Duration(0);
    const auto log = open(path, limits);
    REQUIRE(log->begin(run_of("r1")));
    REQUIRE(log->append(event_of("r1", "a", TaskStarted{})));
    CHECK(written() == "1");
  }
}

TEST_CASE("Log lines are kept with their severity and fields") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  const auto log = open(path);
  REQUIRE(log->begin(run_of("r1")));
  REQUIRE(log->append(event_of("r1", "a", TaskLog{Severity::kWarn, "slow", Value::Map{{"ms", 12}}}, 3)));
  REQUIRE(log->flush());
  CHECK(Raw(path).run(
            "SELECT source || '|' || bytes || '|' || fields || '|' || attempt || '|' || at_ms FROM output") ==
        "warn|slow|{\"ms\":12}|3|1500");
}

TEST_CASE("A run whose process died is resumed by one other, not by two") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  {
    const auto log = open(path);
    REQUIRE(log->begin(run_of("r1")));
    REQUIRE(log->append(event_of("r1", "a", TaskStarted{})));
    REQUIRE(log->append(output_of("r1", "a", "half")));
  }
  const auto one = open(path);
  const auto two = open(path);
  REQUIRE(one->resume("r1", 4711, 1));
  const auto late = two->resume("r1", 4711, 2);
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Code::kInvalid);
  CHECK_THAT(late.error().message, Catch::Contains("run \"r1\" goes on in another process"));
  REQUIRE(one->append(event_of("r1", "a", TaskStarted{})));
  REQUIRE(one->append(output_of("r1", "a", "all of it")));
  REQUIRE(one->end("r1", 2000, 0));
  CHECK(*two->output("r1", "a") == "all of it");
  CHECK(two->runs(1)->front().pid == 1);
  CHECK(Raw(path).run("SELECT count(*) FROM tasks") == "1");
}

TEST_CASE("Pruning removes tasks and output with their run") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  const auto log = open(path);
  REQUIRE(log->begin(run_of("r1")));
  REQUIRE(log->append(output_of("r1", "a", "x")));
  REQUIRE(log->end("r1", 2, 0));
  REQUIRE(log->prune(0));
  CHECK(Raw(path).run("SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM output)") == "0");
}

TEST_CASE("A file that is no run log is named and left as it is") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  std::string expected;

  SECTION("text") {
    write_file(path, std::string(5000, 'x'));
    expected =
        "damaged, or no database (file is not a database); it was left as it is: move it away and run again";
  }
  SECTION("a database cut short") {
    {
      const auto log = open(path);
      REQUIRE(log->begin(run_of("r1")));
    }
    checkpoint(path);
    const std::string whole = bytes_of(path);
    write_file(path, whole.substr(0, whole.size() / 2));
    expected =
        "damaged, or no database (database disk image is malformed); it was left as it is: move it away and "
        "run again";
  }
  SECTION("a database of another program") {
    Raw(path).run("CREATE TABLE mine (x)");
    expected = "a database of another program; it was left as it is: move it away and run again";
  }
  SECTION("a newer version") {
    open(path);
    Raw(path).run("PRAGMA user_version = 7");
    expected =
        "written by a newer sloth (schema 7, this one knows 2); it was left as it is: upgrade sloth, or set "
        "XDG_STATE_HOME to another directory";
  }
  const std::string before = bytes_of(path);
  const Error error = open_error(path);
  CHECK(error.code == Code::kInvalid);
  CHECK(error.message == "run log " + path + ": " + expected);
  CHECK(bytes_of(path) == before);
}

TEST_CASE("Damage inside the file is reported when it is met") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  {
    const auto log = open(path);
    REQUIRE(log->begin(run_of("r1")));
    REQUIRE(log->append(output_of("r1", "a", std::string(100'000, 'x'))));
  }
  checkpoint(path);
  std::string bytes = bytes_of(path);
  for (std::size_t at = 4096; at < bytes.size(); ++at) bytes[at] = '\x5A';
  write_file(path, bytes);
  auto log = open_sqlite_run_log(path);
  const Error error = log ? (*log)->runs(10).error() : log.error();
  CHECK(error.code == Code::kInvalid);
  CHECK_THAT(error.message, Catch::StartsWith("run log " + path + ": damaged"));
}

TEST_CASE("A place that cannot be written is named with the reason and the cure") {
  const TempDir dir;
  SECTION("a file stands where the directory should be") {
    write_file(dir.file("state"), "");
    const Error error = open_error(dir.file("state/runs.db"));
    CHECK(error.code == Code::kIo);
    CHECK_THAT(error.message, Catch::StartsWith("run log " + dir.file("state/runs.db") + ": "));
    CHECK_THAT(error.message, Catch::Contains("set XDG_STATE_HOME"));
  }
  SECTION("a directory stands where the file should be") {
    fs::create_directory(dir.file("runs.db"));
    const Error error = open_error(dir.file("runs.db"));
    CHECK(error.code == Code::kIo);
    CHECK_THAT(error.message, Catch::Contains("cannot be written (unable to open database file"));
  }
}

// Everything may be written by root: the checks below borrow the rights of an ordinary user.
class Unprivileged {
 public:
  explicit Unprivileged(const TempDir& dir) {
    if (geteuid() != 0) return;
    REQUIRE(chown(dir.path().c_str(), kNobody, kNobody) == 0);
    for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
      REQUIRE(chown(entry.path().c_str(), kNobody, kNobody) == 0);
    }
    REQUIRE(seteuid(kNobody) == 0);
    borrowed_ = true;
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;
  ~Unprivileged() {
    if (borrowed_ && seteuid(0) != 0) std::abort();
  }

 private:
  static constexpr uid_t kNobody = 65534;
  bool borrowed_ = false;
};

TEST_CASE("A directory without the right to write is named with the cure") {
  const TempDir dir;
  fs::create_directory(dir.file("state"));
  SECTION("no file yet") {
    fs::permissions(dir.file("state"), fs::perms(0500));
    const Unprivileged user(dir);
    const Error error = open_error(dir.file("state/runs.db"));
    CHECK(error.code == Code::kIo);
    CHECK(error.message == "run log " + dir.file("state/runs.db") +
                               ": cannot be written (unable to open database file); let this user "
                               "write in " +
                               dir.file("state") + ", or set XDG_STATE_HOME to another directory");
  }
  SECTION("no directory yet") {
    fs::permissions(dir.file("state"), fs::perms(0500));
    const Unprivileged user(dir);
    const Error error = open_error(dir.file("state/deep/runs.db"));
    CHECK(error.code == Code::kIo);
    CHECK(error.message ==
          "run log " + dir.file("state/deep/runs.db") + ": cannot make the directory " +
              dir.file("state/deep") +
              " (Permission denied); make it yourself, or set XDG_STATE_HOME to one that this user "
              "may write");
  }
  SECTION("the file is read-only") {
    open(dir.file("state/runs.db"));
    fs::permissions(dir.file("state/runs.db"), fs::perms(0400));
    const Unprivileged user(dir);
    auto log = open_sqlite_run_log(dir.file("state/runs.db"));
    const Error error = log ? (*log)->begin(run_of("r1")).error() : log.error();
    CHECK(error.code == Code::kIo);
    CHECK_THAT(error.message, Catch::Contains("cannot be written (attempt to write a readonly database"));
  }
  fs::permissions(dir.file("state"), fs::perms(0700));
}

TEST_CASE(
    "A full disk loses output, marked as lost, but neither a start nor an end, and the file stays whole") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  RunLogLimits limits;
  limits.database_bytes = 200'000;
  limits.batch_bytes = 50'000;
  limits.batch_age = Duration(0);
  const auto log = open(path, limits);
  REQUIRE(log->begin(run_of("r1")));
  REQUIRE(log->append(event_of("r1", "early", TaskStarted{})));

  Result<void> appended;
  int pieces = 0;
  while (appended && pieces < 100) {
    appended = log->append(output_of("r1", "a", std::string(30'000, 'x')));
    ++pieces;
  }
  REQUIRE_FALSE(appended);
  CHECK(appended.error().code == Code::kIo);
  CHECK(appended.error().message == "run log " + path +
                                        ": no space left (database or disk is full); free some in " +
                                        dir.path().string() + ", or set XDG_STATE_HOME to another disk");
  const int rest = GENERATE(0, 3, 20);  // nothing more, as much as is retained, more than that
  for (int i = 0; i < rest; ++i) {
    static_cast<void>(log->append(output_of("r1", "a", std::string(30'000, 'y'))).ok());
  }
  static_cast<void>(log->append(end_of("r1", "early")).ok());
  static_cast<void>(log->append(end_of("r1", "a", OutcomeKind::kFailed)).ok());
  REQUIRE(log->end("r1", 2000, 1));

  CHECK(log->runs(1)->front().exit_code == 1);
  CHECK(log->tasks("r1")->at(0).outcome == "succeeded");
  CHECK(log->tasks("r1")->at(1).outcome == "failed");
  CHECK_THAT(*log->output("r1", "a"),
             Catch::StartsWith("xxx") &&
                 Catch::EndsWith("xxx\n[sloth: output is missing here, the run log could not be written]\n"));
  CHECK(Raw(path).run("PRAGMA integrity_check") == "ok");
}

TEST_CASE(
    "A file that somebody else holds is waited for, then reported with who it is, and nothing is lost") {
  const TempDir dir;
  const std::string path = dir.file("runs.db");
  RunLogLimits limits = patient();
  limits.busy_wait = std::chrono::milliseconds(20);
  const auto other = open(path);
  RunRecord theirs = run_of("theirs");
  theirs.pid = 99;
  REQUIRE(other->begin(theirs));
  const auto log = open(path, limits);
  REQUIRE(log->begin(run_of("ours")));
  REQUIRE(log->append(output_of("ours", "a", "kept")));
  {
    Raw holder(path);
    holder.run("BEGIN IMMEDIATE");
    const auto flushed = log->flush();
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().code == Code::kUnavailable);
    CHECK(flushed.error().message == "run log " + path +
                                         ": another process has been writing for 20ms; try again when it has "
                                         "ended (probably run theirs, pid 99)");
    CHECK(log->begin(run_of("next")).error().code == Code::kUnavailable);
    holder.run("ROLLBACK");
  }
  REQUIRE(log->end("ours", 2000, 0));
  CHECK(*log->output("ours", "a") == "kept");
  CHECK(log->runs(10)->size() == 2);
}

}  // namespace
}  // namespace sloth
