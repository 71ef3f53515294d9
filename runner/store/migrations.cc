#include "runner/store/migrations.h"

#include <fmt/format.h>

namespace sloth {
namespace {

constexpr const char* kRunLogFirst = R"sql(
CREATE TABLE runs (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  file TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,   -- 0 until ended
  exit_code INTEGER NOT NULL,
  pid INTEGER NOT NULL
);
CREATE INDEX runs_by_start ON runs (started_ms);

CREATE TABLE tasks (
  row INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs (row) ON DELETE CASCADE,
  task TEXT NOT NULL,
  agent TEXT NOT NULL,
  outcome TEXT NOT NULL,       -- '' while running
  message TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  elapsed_ms INTEGER NOT NULL,
  UNIQUE (run, task)
);

CREATE TABLE output (
  row INTEGER PRIMARY KEY,     -- order of arrival
  task INTEGER NOT NULL REFERENCES tasks (row) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  source TEXT NOT NULL,        -- 'stdout', 'stderr', or the severity of a log line
  bytes BLOB NOT NULL,
  fields TEXT NOT NULL         -- JSON of a log line, else ''
);
CREATE INDEX output_by_task ON output (task);
)sql";

// What going on with a run needs.
constexpr const char* kRunLogSecond = R"sql(
ALTER TABLE runs ADD COLUMN command TEXT NOT NULL DEFAULT '';   -- JSON {"directory": ..., "words": [...]}
ALTER TABLE tasks ADD COLUMN outputs TEXT NOT NULL DEFAULT '';  -- JSON; '' when not known
)sql";

}  // namespace

Schema run_log_schema() {
  return Schema{0x534C5248, {kRunLogFirst, kRunLogSecond}};  // "SLRH"
}

Result<void> check_schema(Database& database, const Schema& schema) {
  // One statement, hence one moment: another process may be making the schema right now.
  auto header = database.prepare(
      "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
      "FROM pragma_application_id, pragma_user_version");
  if (!header) return header.error();
  if (const auto row = header->step(); !row) return row.error();
  const std::int64_t application = header->integer(0);
  const std::int64_t version = header->integer(1);
  const bool untouched = application == 0 && version == 0 && header->integer(2) == 0;
  if (!untouched && application != schema.application_id) {
    return database.error(Code::kInvalid,
                          "a database of another program; it was left as it is: move it away and run again");
  }
  const auto known = static_cast<std::int64_t>(schema.steps.size());
  if (version > known) {
    return database.error(
        Code::kInvalid,
        fmt::format("written by a newer sloth (schema {}, this one knows {}); it was left as it is: upgrade "
                    "sloth, or set XDG_STATE_HOME to another directory",
                    version, known));
  }
  return {};
}

Result<void> migrate(Database& database, const Schema& schema) {
  const auto known = schema.steps.size();
  const auto before = database.query_integer("PRAGMA user_version");
  if (!before) return before.error();
  if (*before == static_cast<std::int64_t>(known)) return {};
  return database.transaction([&]() -> Result<void> {
    // Again, now that nobody else can write.
    if (auto checked = check_schema(database, schema); !checked) return checked;
    const auto version = database.query_integer("PRAGMA user_version");
    if (!version) return version.error();
    for (auto step = static_cast<std::size_t>(*version); step < known; ++step) {
      if (auto done = database.execute(schema.steps[step]); !done) return done;
    }
    return database.execute(
        fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", schema.application_id, known));
  });
}

}  // namespace sloth
