#include "runner/store/migrations.h"

#include "runner/store/run_log.h"
#include "tests/unit/store/temp_dir.h"

#undef CHECK  // the tests mean the one of Catch2
#include <catch2/catch.hpp>

namespace sloth {
namespace {

const Schema kFirst{77, {"CREATE TABLE things (name TEXT); INSERT INTO things VALUES ('kept')"}};
const Schema kSecond{77, {kFirst.steps[0], "ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 3"}};

std::unique_ptr<Database> open(const std::string& path) {
  auto database = Database::open(path, {"store", std::chrono::seconds(5)});
  if (!database) FAIL(database.error().message);
  return std::move(*database);
}

TEST_CASE("A file of an older version gets the steps that it lacks and keeps its content") {
  const TempDir dir;
  REQUIRE(migrate(*open(dir.file("a.db")), kFirst));
  const auto database = open(dir.file("a.db"));
  REQUIRE(check_schema(*database, kSecond));
  REQUIRE(migrate(*database, kSecond));
  CHECK(*database->query_integer("PRAGMA user_version") == 2);
  CHECK(*database->query_integer("SELECT size FROM things WHERE name = 'kept'") == 3);
  REQUIRE(migrate(*database, kSecond));
  CHECK(*database->query_integer("SELECT count(*) FROM things") == 1);
  CHECK(check_schema(*database, kFirst).error().code == Code::kInvalid);
}

TEST_CASE("A step that fails leaves the file at the version it had") {
  const TempDir dir;
  const auto database = open(dir.file("a.db"));
  REQUIRE(migrate(*database, kFirst));
  Schema wrong = kSecond;
  wrong.steps.push_back("CREATE TABLE things (name TEXT)");
  const auto migrated = migrate(*database, wrong);
  REQUIRE_FALSE(migrated);
  CHECK(migrated.error().message == "store " + dir.file("a.db") + ": table things already exists");
  CHECK(*database->query_integer("PRAGMA user_version") == 1);
  CHECK(*database->query_integer("SELECT count(*) FROM pragma_table_info('things')") == 1);
}

TEST_CASE("A run log of version 1 is taken to the present one when it is opened, with all its runs") {
  const TempDir dir;
  {
    Schema first = run_log_schema();
    first.steps.resize(1);
    const auto database = open(dir.file("a.db"));
    REQUIRE(migrate(*database, first));
    REQUIRE(
        database->execute("INSERT INTO runs (id, file, started_ms, ended_ms, exit_code, pid) "
                          "VALUES ('old', 'tasks.lua', 1, 2, 1, 3);"
                          "INSERT INTO tasks (run, task, agent, outcome, message, attempts, elapsed_ms) "
                          "VALUES (1, 'a', '', 'failed', 'no', 1, 4)"));
  }
  const auto log = open_sqlite_run_log(dir.file("a.db"));
  REQUIRE(log);
  REQUIRE((*log)->runs(10)->size() == 1);
  CHECK((*log)->runs(10)->front().id == "old");
  CHECK((*log)->runs(10)->front().command.empty());
  CHECK((*log)->tasks("old")->front().message == "no");
  CHECK((*log)->tasks("old")->front().outputs == std::nullopt);
  REQUIRE((*log)->resume("old", 3, 5));
  CHECK(*open(dir.file("a.db"))->query_integer("PRAGMA user_version") == 2);
}

TEST_CASE("The steps of the run log are applied in order from an empty file") {
  const TempDir dir;
  const auto database = open(dir.file("a.db"));
  const Schema schema = run_log_schema();
  REQUIRE(check_schema(*database, schema));
  REQUIRE(migrate(*database, schema));
  CHECK(*database->query_integer("PRAGMA user_version") == static_cast<std::int64_t>(schema.steps.size()));
  CHECK(*database->query_integer("PRAGMA application_id") == schema.application_id);
}

}  // namespace
}  // namespace sloth
