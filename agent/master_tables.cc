#include "agent/master_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runner/store/migrations.h"

namespace sloth {
namespace {

constexpr const char* kFirst = R"sql(
CREATE TABLE agents (
  name TEXT NOT NULL PRIMARY KEY,
  key TEXT NOT NULL,
  version TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE attempts (
  row INTEGER PRIMARY KEY,       -- order of submission
  id TEXT NOT NULL UNIQUE,
  run TEXT NOT NULL,
  task TEXT NOT NULL,
  agent TEXT NOT NULL,
  number INTEGER NOT NULL,
  digest TEXT NOT NULL,
  state TEXT NOT NULL,
  detail TEXT NOT NULL,
  agent_key TEXT NOT NULL,
  cancel INTEGER NOT NULL,
  cancel_reason TEXT NOT NULL,
  queue_ms INTEGER NOT NULL,
  lost_ms INTEGER NOT NULL,
  queued_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER NOT NULL,  -- 0: lives
  outcome BLOB NOT NULL,
  spool_end INTEGER NOT NULL
);
CREATE INDEX attempts_by_run ON attempts (run, task, agent, number);
CREATE INDEX attempts_by_end ON attempts (ended_at_ms);

CREATE TABLE requests (
  attempt TEXT NOT NULL PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE,
  request BLOB NOT NULL,
  blobs TEXT NOT NULL            -- digests, one a line
);

CREATE TABLE evidence (          -- results that came after the end
  attempt TEXT NOT NULL PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE,
  state TEXT NOT NULL,
  outcome BLOB NOT NULL,
  spool_end INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
);

CREATE TABLE steps (             -- every state that an attempt was in, in order
  row INTEGER PRIMARY KEY,
  attempt TEXT NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
  state TEXT NOT NULL,
  ends INTEGER NOT NULL
);
CREATE INDEX steps_by_attempt ON steps (attempt);
CREATE UNIQUE INDEX one_end ON steps (attempt) WHERE ends = 1;
)sql";

Schema master_schema() {
  return Schema{0x534C4D53, {kFirst}};  // "SLMS"
}

constexpr const char* kColumns =
    "id, run, task, agent, number, digest, state, detail, agent_key, cancel, cancel_reason, queue_ms, "
    "lost_ms, "
    "queued_at_ms, ended_at_ms, outcome, spool_end";

Result<AttemptRow> attempt_at(const Statement& at) {
  AttemptRow row;
  row.id = at.bytes(0);
  row.key = {at.bytes(1), at.bytes(2), at.bytes(3), static_cast<int>(at.integer(4))};
  row.digest = at.bytes(5);
  const auto state = parse_attempt_state(at.bytes(6));
  if (!state) return state.error().in(fmt::format("attempt {}", row.id));
  row.state = *state;
  row.detail = at.bytes(7);
  row.agent_key = at.bytes(8);
  row.cancel = at.integer(9) != 0;
  row.cancel_reason = at.bytes(10);
  row.queue_ms = at.integer(11);
  row.lost_ms = at.integer(12);
  row.queued_at_ms = at.integer(13);
  row.ended_at_ms = at.integer(14);
  row.outcome = at.bytes(15);
  row.spool_end = static_cast<std::uint64_t>(at.integer(16));
  return row;
}

// Calls `each` for every row of `statement`.
template <class Each>
Result<void> for_rows(Statement& statement, Each&& each) {
  while (true) {
    const auto row = statement.step();
    if (!row) return row.error();
    if (!*row) return {};
    if (Result<void> taken = each(statement); !taken) return taken;
  }
}

Result<void> add_step(Database& database, const std::string& attempt, AttemptState state) {
  auto step = database.prepare("INSERT INTO steps (attempt, state, ends) VALUES (?, ?, ?)");
  if (!step) return step.error();
  const std::string name = attempt_state_name(state);
  return step->bind_text(1, attempt).bind_text(2, name).bind(3, is_terminal(state) ? 1 : 0).run();
}

Result<void> drop_request(Database& database, const std::string& attempt) {
  auto drop = database.prepare("DELETE FROM requests WHERE attempt = ?");
  if (!drop) return drop.error();
  return drop->bind_text(1, attempt).run();
}

std::string joined(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace

Result<std::unique_ptr<Database>> open_master_database(const std::string& path) {
  auto database = Database::open(path, {.label = "master database", .durable = true});
  if (!database) return database.error();
  const Schema schema = master_schema();
  if (auto checked = check_schema(**database, schema); !checked) return checked.error();
  auto sound = (*database)->prepare("PRAGMA quick_check(1)");
  if (!sound) return sound.error();
  if (auto row = sound->step(); !row) return row.error();
  if (const std::string found = sound->bytes(0); found != "ok") {
    return (*database)->error(
        Code::kInvalid, fmt::format("damaged ({}); it was left as it is: move it away and run again", found));
  }
  sound->reset();
  if (auto done = (*database)->configure(); !done) return done.error();
  if (auto migrated = migrate(**database, schema); !migrated) return migrated.error();
  return database;
}

Result<void> insert_attempt(Database& database, const AttemptRow& row, const AttemptRequest& request) {
  auto add = database.prepare(
      fmt::format("INSERT INTO attempts ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                  "?, ?, ?)",
                  kColumns));
  if (!add) return add.error();
  const std::string state = attempt_state_name(row.state);
  add->bind_text(1, row.id).bind_text(2, row.key.run).bind_text(3, row.key.task).bind_text(4, row.key.agent);
  add->bind(5, row.key.number).bind_text(6, row.digest).bind_text(7, state).bind_text(8, row.detail);
  add->bind_text(9, row.agent_key).bind(10, row.cancel ? 1 : 0).bind_text(11, row.cancel_reason);
  add->bind(12, row.queue_ms).bind(13, row.lost_ms).bind(14, row.queued_at_ms).bind(15, row.ended_at_ms);
  add->bind_blob(16, row.outcome).bind(17, static_cast<std::int64_t>(row.spool_end));
  if (auto added = add->run(); !added) return added;
  if (auto stepped = add_step(database, row.id, row.state); !stepped) return stepped;
  if (is_terminal(row.state) || request.request.empty()) return {};
  auto keep = database.prepare("INSERT INTO requests (attempt, request, blobs) VALUES (?, ?, ?)");
  if (!keep) return keep.error();
  const std::string blobs = joined(request.blobs);
  return keep->bind_text(1, row.id).bind_blob(2, request.request).bind_text(3, blobs).run();
}

Result<void> update_attempt(Database& database, const AttemptRow& row) {
  auto before = database.prepare("SELECT state FROM attempts WHERE id = ? AND ended_at_ms = 0");
  if (!before) return before.error();
  const auto there = before->bind_text(1, row.id).step();
  if (!there) return there.error();
  if (!*there)
    return Error{Code::kRefused, fmt::format("attempt {} has ended already, or is not known", row.id)};
  const std::string was = before->bytes(0);
  before->reset();
  const std::string state = attempt_state_name(row.state);
  auto change = database.prepare(
      "UPDATE attempts SET state = ?, detail = ?, agent_key = ?, cancel = ?, cancel_reason = ?, "
      "ended_at_ms = ?, outcome = ?, spool_end = ? WHERE id = ?");
  if (!change) return change.error();
  change->bind_text(1, state)
      .bind_text(2, row.detail)
      .bind_text(3, row.agent_key)
      .bind(4, row.cancel ? 1 : 0);
  change->bind_text(5, row.cancel_reason).bind(6, row.ended_at_ms).bind_blob(7, row.outcome);
  change->bind(8, static_cast<std::int64_t>(row.spool_end)).bind_text(9, row.id);
  if (auto changed = change->run(); !changed) return changed;
  if (state == was) return {};
  if (auto stepped = add_step(database, row.id, row.state); !stepped) return stepped;
  return is_terminal(row.state) ? drop_request(database, row.id) : Result<void>();
}

Result<void> insert_evidence(Database& database, const AttemptResult& late, std::int64_t at_ms) {
  auto add = database.prepare(
      "INSERT OR IGNORE INTO evidence (attempt, state, outcome, spool_end, at_ms) "
      "VALUES (?, ?, ?, ?, ?)");
  if (!add) return add.error();
  const std::string state = attempt_state_name(late.state);
  add->bind_text(1, late.attempt).bind_text(2, state).bind_blob(3, late.outcome);
  return add->bind(4, static_cast<std::int64_t>(late.spool_end)).bind(5, at_ms).run();
}

Result<void> put_agent_row(Database& database, const AgentRow& row) {
  auto put = database.prepare(
      "INSERT OR REPLACE INTO agents (name, key, version, host, pid, max_attempts, "
      "last_seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?)");
  if (!put) return put.error();
  put->bind_text(1, row.name).bind_text(2, row.key).bind_text(3, row.version).bind_text(4, row.host);
  return put->bind(5, row.pid).bind(6, row.max_attempts).bind(7, row.last_seen_ms).run();
}

Result<std::vector<std::string>> remove_ended(Database& database, std::int64_t before_ms, int limit) {
  std::vector<std::string> ids;
  auto old = database.prepare("SELECT id FROM attempts WHERE ended_at_ms > 0 AND ended_at_ms < ? LIMIT ?");
  if (!old) return old.error();
  old->bind(1, before_ms).bind(2, limit);
  auto listed = for_rows(*old, [&](const Statement& at) {
    ids.push_back(at.bytes(0));
    return Result<void>();
  });
  if (!listed) return listed.error();
  auto remove = database.prepare("DELETE FROM attempts WHERE id = ?");
  if (!remove) return remove.error();
  for (const std::string& id : ids) {
    if (auto removed = remove->bind_text(1, id).run(); !removed) return removed.error();
  }
  return ids;
}

Result<void> remove_agent_row(Database& database, const std::string& name) {
  auto remove = database.prepare("DELETE FROM agents WHERE name = ?");
  if (!remove) return remove.error();
  return remove->bind_text(1, name).run();
}

Result<std::vector<AttemptRow>> read_live_attempts(Database& database) {
  auto live =
      database.prepare(fmt::format("SELECT {} FROM attempts WHERE ended_at_ms = 0 ORDER BY row", kColumns));
  if (!live) return live.error();
  std::vector<AttemptRow> rows;
  auto listed = for_rows(*live, [&](const Statement& at) -> Result<void> {
    auto row = attempt_at(at);
    if (!row) return row.error();
    rows.push_back(std::move(*row));
    return {};
  });
  if (!listed) return listed.error();
  return rows;
}

Result<std::vector<AgentRow>> read_agents(Database& database) {
  auto all = database.prepare(
      "SELECT name, key, version, host, pid, max_attempts, last_seen_ms FROM agents ORDER BY name");
  if (!all) return all.error();
  std::vector<AgentRow> rows;
  auto listed = for_rows(*all, [&](const Statement& at) {
    rows.push_back({at.bytes(0), at.bytes(1), at.bytes(2), at.bytes(3), at.integer(4),
                    static_cast<int>(at.integer(5)), at.integer(6)});
    return Result<void>();
  });
  if (!listed) return listed.error();
  return rows;
}

Result<std::optional<AttemptRow>> read_attempt(Database& database, const std::string& id) {
  auto one = database.prepare(fmt::format("SELECT {} FROM attempts WHERE id = ?", kColumns));
  if (!one) return one.error();
  const auto there = one->bind_text(1, id).step();
  if (!there) return there.error();
  if (!*there) return std::optional<AttemptRow>();
  auto row = attempt_at(*one);
  if (!row) return row.error();
  return std::optional<AttemptRow>(std::move(*row));
}

Result<std::string> read_request(Database& database, const std::string& id) {
  auto one = database.prepare("SELECT request FROM requests WHERE attempt = ?");
  if (!one) return one.error();
  const auto there = one->bind_text(1, id).step();
  if (!there) return there.error();
  if (!*there) return Error{Code::kNotFound, fmt::format("the request of attempt {} is gone", id)};
  return one->bytes(0);
}

Result<std::vector<AttemptSummary>> read_run(Database& database, const std::string& run) {
  auto all = database.prepare(fmt::format("SELECT {} FROM attempts WHERE run = ? ORDER BY row", kColumns));
  if (!all) return all.error();
  all->bind_text(1, run);
  std::vector<AttemptSummary> summaries;
  auto listed = for_rows(*all, [&](const Statement& at) -> Result<void> {
    auto row = attempt_at(at);
    if (!row) return row.error();
    summaries.push_back({row->id, row->key, row->state});
    return {};
  });
  if (!listed) return listed.error();
  return summaries;
}

Result<bool> has_later_attempt(Database& database, const AttemptKey& key) {
  auto later = database.prepare(
      "SELECT 1 FROM attempts WHERE run = ? AND task = ? AND agent = ? AND number > ? LIMIT 1");
  if (!later) return later.error();
  return later->bind_text(1, key.run)
      .bind_text(2, key.task)
      .bind_text(3, key.agent)
      .bind(4, key.number)
      .step();
}

Result<std::vector<std::string>> read_blobs(Database& database) {
  auto all = database.prepare("SELECT blobs FROM requests WHERE blobs != ''");
  if (!all) return all.error();
  std::vector<std::string> digests;
  auto listed = for_rows(*all, [&](const Statement& at) {
    const std::string lines = at.bytes(0);
    for (std::size_t from = 0; from <= lines.size();) {
      const std::size_t end = std::min(lines.find('\n', from), lines.size());
      digests.push_back(lines.substr(from, end - from));
      from = end + 1;
    }
    return Result<void>();
  });
  if (!listed) return listed.error();
  return digests;
}

Result<std::vector<std::string>> select_unknown(Database& database, const std::vector<std::string>& ids) {
  auto one = database.prepare("SELECT 1 FROM attempts WHERE id = ?");
  if (!one) return one.error();
  std::vector<std::string> unknown;
  for (const std::string& id : ids) {
    const auto there = one->bind_text(1, id).step();
    if (!there) return there.error();
    if (!*there) unknown.push_back(id);
    one->reset();
  }
  return unknown;
}

}  // namespace sloth
