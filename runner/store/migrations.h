// Migrations: the versions of a database's schema, and how a file gets from one to the next.
//
// Not shared: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/store/sqlite.h"

namespace sloth {

// Step i takes a file from version i to i + 1, kept in PRAGMA user_version. Steps that were released are
// never changed: a new version is a new step.
struct Schema {
  std::int32_t application_id = 0;  // kept in the file; tells ours from others
  std::vector<std::string> steps;
};

Schema run_log_schema();

// Reads only. kInvalid when the file is of another program or of a newer version.
Result<void> check_schema(Database& database, const Schema& schema);

// Takes the file to the last version in one transaction; safe when several processes do it at once.
// REQUIRES: check_schema passed.
Result<void> migrate(Database& database, const Schema& schema);

}  // namespace sloth
