#include "runner/store/migrations.h"

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
