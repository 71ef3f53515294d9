// The tables of a master's journal, and the statements on them. For MasterStore.
//
// Not shared: one thread at a time, as the Database. Every function is one part of a transaction, or one
// read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/master_store.h"
#include "runner/base/result.h"
#include "runner/store/sqlite.h"

namespace sloth {

// Opens or makes the file, after a look that writes nothing. kInvalid when it is damaged, of another program,
// or of a newer version.
Result<std::unique_ptr<Database>> open_master_database(const std::string& path);

// Each of these also writes the step, when the state is another.
Result<void> insert_attempt(Database& database, const AttemptRow& row, const AttemptRequest& request);
// kRefused when the attempt has ended or is not there.
Result<void> update_attempt(Database& database, const AttemptRow& row);
// Only the first is kept.
Result<void> insert_evidence(Database& database, const AttemptResult& late, std::int64_t at_ms);
Result<void> put_agent_row(Database& database, const AgentRow& row);
Result<void> remove_agent_row(Database& database, const std::string& name);
// The ids of up to `limit` that ended before that time, and are gone now.
Result<std::vector<std::string>> remove_ended(Database& database, std::int64_t before_ms, int limit);

Result<std::vector<AttemptRow>> read_live_attempts(Database& database);
Result<std::vector<AgentRow>> read_agents(Database& database);
Result<std::optional<AttemptRow>> read_attempt(Database& database, const std::string& id);
Result<std::string> read_request(Database& database, const std::string& id);
Result<std::vector<AttemptSummary>> read_run(Database& database, const std::string& run);
Result<bool> has_later_attempt(Database& database, const AttemptKey& key);
Result<std::vector<std::string>> read_blobs(Database& database);
Result<std::vector<std::string>> select_unknown(Database& database, const std::vector<std::string>& ids);

}  // namespace sloth
