#include "agent/journal.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "runner/os/file_tree.h"
#include "runner/store/migrations.h"

namespace sloth {
namespace {

constexpr const char* kFirst = R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE attempts (
  row INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run TEXT NOT NULL,
  task TEXT NOT NULL,
  agent TEXT NOT NULL,
  number INTEGER NOT NULL,
  digest TEXT NOT NULL,
  state TEXT NOT NULL,
  pid INTEGER NOT NULL,          -- -1: not known
  start INTEGER NOT NULL,
  boot TEXT NOT NULL,
  user TEXT NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  user_home TEXT NOT NULL,
  workspace TEXT NOT NULL,
  timeout_ns INTEGER NOT NULL,   -- -1: none
  outcome BLOB NOT NULL,
  spool_end INTEGER NOT NULL,
  acked INTEGER NOT NULL,
  anchor INTEGER NOT NULL,
  home INTEGER NOT NULL,         -- 1: the master has it; here for its workspace
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL
);
CREATE INDEX attempts_by_home ON attempts (home, ended_ms);

CREATE TABLE epochs (
  run TEXT NOT NULL,
  task TEXT NOT NULL,
  number INTEGER NOT NULL,
  id TEXT NOT NULL,              -- of the attempt with that number
  ended TEXT NOT NULL,           -- state of its end once that came home; always as wide, so that a full file takes it
  seen_ms INTEGER NOT NULL,
  PRIMARY KEY (run, task)
) WITHOUT ROWID;
CREATE INDEX epochs_by_age ON epochs (seen_ms);
CREATE INDEX epochs_by_id ON epochs (id);
)sql";

Schema journal_schema() { return Schema{0x534C414A, {kFirst}}; }  // "SLAJ"

constexpr std::int64_t kKeepEpochs = std::int64_t{90} * 24 * 3600 * 1000;
constexpr const char* kFile = "/journal.db";

std::string new_key() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

// Fails before anything is written: what is damaged stays as it is for whoever repairs it.
Result<void> check_sound(Database& database, const std::string& directory) {
  if (auto known = check_schema(database, journal_schema()); !known) return known;
  auto check = database.prepare("PRAGMA quick_check(1)");
  if (!check) return check.error();
  const auto row = check->step();
  if (!row) return row.error();
  if (const std::string found = check->bytes(0); found != "ok") {
    return database.error(
        Code::kInvalid,
        fmt::format("damaged ({}); it was left as it is: move {} away and start again", found, directory));
  }
  // SQLite takes an empty file for a new one.
  const auto attempts = list_directory(directory + "/attempts");
  const auto version = database.query_integer("PRAGMA user_version");
  if (version && *version == 0 && attempts && !attempts->empty()) {
    return database.error(
        Code::kInvalid,
        fmt::format("empty, but {}/attempts is not; it was left as it is: move {} away and start again",
                    directory, directory));
  }
  return {};
}

Result<std::optional<std::string>> meta(Database& database, const char* name) {
  auto select = database.prepare("SELECT value FROM meta WHERE key = ?1");
  if (!select) return select.error();
  const auto row = select->bind_text(1, name).step();
  if (!row) return row.error();
  return *row ? std::optional<std::string>(select->bytes(0)) : std::nullopt;
}

Result<void> set_meta(Database& database, const char* name, const std::string& value) {
  auto insert = database.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)");
  if (!insert) return insert.error();
  return insert->bind_text(1, name).bind_text(2, value).run();
}

std::uint64_t offset(std::int64_t number) { return static_cast<std::uint64_t>(number); }
std::int64_t number(std::uint64_t offset) { return static_cast<std::int64_t>(offset); }

Result<JournalRow> read_row(const Statement& row) {
  auto state = parse_attempt_state(row.bytes(6));
  if (!state) return state.error();
  JournalRow out;
  out.id = row.bytes(0);
  out.key = {row.bytes(1), row.bytes(2), row.bytes(3), static_cast<int>(row.integer(4))};
  out.digest = row.bytes(5);
  out.state = *state;
  out.process = {static_cast<pid_t>(row.integer(7)), offset(row.integer(8)), row.bytes(9)};
  out.account = {row.bytes(10), static_cast<uid_t>(row.integer(11)), static_cast<gid_t>(row.integer(12)),
                 row.bytes(13)};
  out.workspace = row.bytes(14);
  if (row.integer(15) >= 0) out.timeout = Duration(row.integer(15));
  out.outcome = row.bytes(16);
  out.spool_end = offset(row.integer(17));
  out.acked = offset(row.integer(18));
  out.anchor = offset(row.integer(19));
  out.created_ms = row.integer(20);
  out.ended_ms = row.integer(21);
  return out;
}

Result<void> insert_row(Database& database, const JournalRow& row) {
  auto insert = database.prepare(
      "INSERT INTO attempts (id, run, task, agent, number, digest, state, pid, start, boot, user, uid, gid, "
      "user_home, "
      "workspace, timeout_ns, outcome, spool_end, acked, anchor, home, created_ms, ended_ms) VALUES "
      "(?1, ?2, ?3, ?4, ?5, ?6, ?7, -1, 0, '', ?8, ?9, ?10, ?11, ?12, ?13, x'', 0, 0, 0, 0, ?14, 0)");
  if (!insert) return insert.error();
  insert->bind_text(1, row.id)
      .bind_text(2, row.key.run)
      .bind_text(3, row.key.task)
      .bind_text(4, row.key.agent);
  insert->bind(5, row.key.number).bind_text(6, row.digest).bind_text(7, attempt_state_name(row.state));
  insert->bind_text(8, row.account.name).bind(9, row.account.uid).bind(10, row.account.gid);
  insert->bind_text(11, row.account.home).bind_text(12, row.workspace);
  insert->bind(13, row.timeout ? row.timeout->count() : -1).bind(14, row.created_ms);
  return insert->run();
}

std::string end_word(const char* state) { return fmt::format("{:<11}", state); }

std::string trimmed(std::string word) {
  word.erase(word.find_last_not_of(' ') + 1);
  return word;
}

// Leaves the epoch at this attempt's number, unless the verdict says no.
Result<Journal::Acceptance> take_epoch(Database& database, const JournalRow& row, std::int64_t now_ms) {
  const AttemptKey& key = row.key;
  Journal::Acceptance acceptance;
  auto select = database.prepare("SELECT number, ended FROM epochs WHERE run = ?1 AND task = ?2");
  if (!select) return select.error();
  const auto known = select->bind_text(1, key.run).bind_text(2, key.task).step();
  if (!known) return known.error();
  if (*known) {
    acceptance.newest = static_cast<int>(select->integer(0));
    const std::string ended = trimmed(select->bytes(1));
    if (acceptance.newest > key.number) {
      acceptance.verdict = Journal::Acceptance::Verdict::kSuperseded;
      return acceptance;
    }
    if (acceptance.newest == key.number && !ended.empty()) {
      auto state = parse_attempt_state(ended);
      if (!state) return state.error();
      acceptance.verdict = Journal::Acceptance::Verdict::kEndedBefore;
      acceptance.ended = *state;
      return acceptance;
    }
  }
  auto insert = database.prepare(
      "INSERT OR REPLACE INTO epochs (run, task, number, id, ended, seen_ms) VALUES (?1, ?2, ?3, ?4, ?5, "
      "?6)");
  if (!insert) return insert.error();
  const std::string not_ended = end_word("");
  insert->bind_text(1, key.run).bind_text(2, key.task).bind(3, key.number).bind_text(4, row.id);
  const auto written = insert->bind_text(5, not_ended).bind(6, now_ms).run();
  if (!written) return written.error();
  return acceptance;
}

Result<void> end_epoch(Database& database, const JournalRow& row) {
  auto update = database.prepare("UPDATE epochs SET ended = ?4 WHERE run = ?1 AND task = ?2 AND number = ?3");
  if (!update) return update.error();
  update->bind_text(1, row.key.run).bind_text(2, row.key.task).bind(3, row.key.number);
  const std::string ended = end_word(attempt_state_name(row.state));
  return update->bind_text(4, ended).run();
}

Result<void> forget_old_epochs(Database& database, std::int64_t before_ms) {
  auto remove = database.prepare(
      "DELETE FROM epochs WHERE seen_ms < ?1 AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.run = "
      "epochs.run AND "
      "attempts.task = epochs.task AND home = 0)");
  if (!remove) return remove.error();
  return remove->bind(1, before_ms).run();
}

// Ids of the rows that went.
Result<std::vector<std::string>> forget_surplus(Database& database) {
  auto select = database.prepare(
      "SELECT id FROM attempts WHERE home = 1 ORDER BY ended_ms DESC, row DESC LIMIT -1 OFFSET ?1");
  if (!select) return select.error();
  std::vector<std::string> surplus;
  select->bind(1, Journal::kKeptWorkspaces);
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) break;
    surplus.push_back(select->bytes(0));
  }
  auto remove = database.prepare("DELETE FROM attempts WHERE id = ?1");
  if (!remove) return remove.error();
  for (const std::string& id : surplus) {
    if (auto removed = remove->bind_text(1, id).run(); !removed) return removed.error();
  }
  return surplus;
}

// One statement with the id as its first parameter.
Result<void> change_row(Database& database, const char* sql, const std::string& id) {
  auto statement = database.prepare(sql);
  if (!statement) return statement.error();
  return statement->bind_text(1, id).run();
}

}  // namespace

Journal::Journal(std::unique_ptr<Database> database, Strand strand, const Clock& clock)
    : clock_(clock), queue_(std::make_unique<CommitQueue>(std::move(database), std::move(strand))) {}

Result<std::unique_ptr<Journal>> Journal::open(const Options& options, Strand strand, const Clock& clock) {
  auto opened = Database::open(options.directory + kFile, {.label = "agent journal", .durable = true});
  if (!opened) return opened.error();
  Database& database = **opened;
  if (auto sound = check_sound(database, options.directory); !sound) return sound.error();
  if (auto configured = database.configure(); !configured) return configured.error();
  if (auto migrated = migrate(database, journal_schema()); !migrated) return migrated.error();
  if (options.most_bytes > 0) {
    if (auto limited = database.limit_size(options.most_bytes); !limited) return limited.error();
  }
  std::unique_ptr<Journal> journal(new Journal(std::move(*opened), std::move(strand), clock));
  if (auto read = journal->read(options, database); !read) return read.error();
  return journal;
}

Result<void> Journal::read(const Options& options, Database& database) {
  auto select = database.prepare(
      "SELECT id, run, task, agent, number, digest, state, pid, start, boot, user, uid, gid, user_home, "
      "workspace, "
      "timeout_ns, outcome, spool_end, acked, anchor, created_ms, ended_ms, home FROM attempts ORDER BY row");
  if (!select) return select.error();
  for (;;) {
    const auto next = select->step();
    if (!next) return next.error();
    if (!*next) break;
    if (select->integer(22) != 0) {
      kept_.push_back(select->bytes(0));
      continue;
    }
    auto row = read_row(*select);
    if (!row) return database.error(Code::kInvalid, row.error().message);
    rows_.push_back(std::move(*row));
  }
  const auto name = meta(database, "name");
  if (!name) return name.error();
  if (*name && **name != options.name && !rows_.empty()) {
    return database.error(
        Code::kRefused,
        fmt::format("holds {} attempts of the agent \"{}\"; start it by that name until they are done, or "
                    "give \"{}\" a directory of its own",
                    rows_.size(), **name, options.name));
  }
  const auto key = meta(database, "key");
  if (!key) return key.error();
  key_ = *key ? **key : new_key();
  return database.transaction([&]() -> Result<void> {
    if (auto written = set_meta(database, "name", options.name); !written) return written;
    return *key ? Result<void>() : set_meta(database, "key", key_);
  });
}

void Journal::accept(const JournalRow& row, UniqueFunction<void(Result<Acceptance>)> done) {
  auto acceptance = std::make_shared<Acceptance>();
  queue_->commit(
      [row, acceptance, now = clock_.wall_ms()](Database& database) -> Result<void> {
        auto taken = take_epoch(database, row, now);
        if (!taken) return taken.error();
        *acceptance = *taken;
        return taken->verdict == Acceptance::Verdict::kAccepted ? insert_row(database, row) : Result<void>();
      },
      [acceptance, done = std::move(done)](Result<void> committed) mutable {
        done(committed ? Result<Acceptance>(*acceptance) : Result<Acceptance>(committed.error()));
      });
}

void Journal::started(const std::string& id, Done done) {
  queue_->commit(
      [id](Database& database) {
        return change_row(database, "UPDATE attempts SET state = 'running' WHERE id = ?1", id);
      },
      std::move(done));
}

void Journal::back(const std::string& id, Done done) {
  queue_->commit(
      [id](Database& database) {
        return change_row(database, "UPDATE attempts SET state = 'accepted' WHERE id = ?1", id);
      },
      std::move(done));
}

void Journal::named(const std::string& id, const ProcessName& process, Done done) {
  queue_->commit(
      [id, process](Database& database) -> Result<void> {
        auto update = database.prepare("UPDATE attempts SET pid = ?2, start = ?3, boot = ?4 WHERE id = ?1");
        if (!update) return update.error();
        update->bind_text(1, id)
            .bind(2, process.pid)
            .bind(3, number(process.start))
            .bind_text(4, process.boot);
        return update->run();
      },
      std::move(done));
}

void Journal::ended(const JournalRow& row, Done done) {
  queue_->commit(
      [id = row.id, state = row.state, outcome = row.outcome, end = row.spool_end,
       at = row.ended_ms](Database& database) -> Result<void> {
        auto update = database.prepare(
            "UPDATE attempts SET state = ?2, outcome = ?3, spool_end = ?4, ended_ms = ?5 WHERE id = ?1");
        if (!update) return update.error();
        update->bind_text(1, id).bind_text(2, attempt_state_name(state)).bind_blob(3, outcome);
        return update->bind(4, number(end)).bind(5, at).run();
      },
      std::move(done));
}

void Journal::acknowledged(const std::string& id, std::uint64_t acked, std::uint64_t anchor, Done done) {
  queue_->commit(
      [id, acked, anchor](Database& database) -> Result<void> {
        auto update = database.prepare("UPDATE attempts SET acked = ?2, anchor = ?3 WHERE id = ?1");
        if (!update) return update.error();
        return update->bind_text(1, id).bind(2, number(acked)).bind(3, number(anchor)).run();
      },
      std::move(done));
}

void Journal::home(const JournalRow& row, bool keep,
                   UniqueFunction<void(Result<std::vector<std::string>>)> done) {
  auto surplus = std::make_shared<std::vector<std::string>>();
  JournalRow brief;
  brief.id = row.id;
  brief.key = row.key;
  brief.state = row.state;
  queue_->commit(
      [brief, keep, surplus, old = clock_.wall_ms() - kKeepEpochs](Database& database) -> Result<void> {
        // First what gives room: the rest must go on a full disk, too.
        auto gone = change_row(database,
                               keep ? "UPDATE attempts SET home = 1, outcome = x'' WHERE id = ?1"
                                    : "DELETE FROM attempts WHERE id = ?1",
                               brief.id);
        if (!gone) return gone;
        if (auto pruned = forget_old_epochs(database, old); !pruned) return pruned;
        if (auto ended = end_epoch(database, brief); !ended) return ended;
        if (!keep) return {};
        auto forgotten = forget_surplus(database);
        if (!forgotten) return forgotten.error();
        *surplus = std::move(*forgotten);
        return {};
      },
      [surplus, done = std::move(done)](Result<void> committed) mutable {
        using Ids = std::vector<std::string>;
        done(committed ? Result<Ids>(std::move(*surplus)) : Result<Ids>(committed.error()));
      });
}

void Journal::drop(const std::string& id, Done done) {
  queue_->commit(
      [id](Database& database) { return change_row(database, "DELETE FROM attempts WHERE id = ?1", id); },
      std::move(done));
}

void Journal::find_end(const std::string& id, UniqueFunction<void(std::optional<AttemptState>)> done) {
  auto end = std::make_shared<std::optional<AttemptState>>();
  queue_->commit(
      [id, end](Database& database) -> Result<void> {
        auto select = database.prepare("SELECT ended FROM epochs WHERE id = ?1");
        if (!select) return select.error();
        const auto known = select->bind_text(1, id).step();
        if (!known) return known.error();
        if (!*known) return {};
        // A word that is no state: it has not ended.
        if (const auto state = parse_attempt_state(trimmed(select->bytes(0)))) *end = *state;
        return {};
      },
      [end, done = std::move(done)](const Result<void>&) mutable { done(*end); });
}

bool Journal::is_full(const Error& error) { return error.message.find("no space left") != std::string::npos; }

}  // namespace sloth
