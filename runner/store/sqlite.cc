#include "runner/store/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "runner/base/duration.h"

namespace sloth {
namespace {

namespace fs = std::filesystem;

// std::error_code: this room may not use runner/os.
std::error_code make_private_directories(const fs::path& directory) {
  std::error_code failure;
  std::vector<fs::path> missing;
  for (fs::path level = directory; !level.empty() && !fs::exists(level, failure);
       level = level.parent_path()) {
    if (failure) return failure;
    missing.push_back(level);
  }
  for (auto level = missing.rbegin(); level != missing.rend(); ++level) {
    // False without an error: another process was faster.
    const bool made = fs::create_directory(*level, failure);
    if (!failure && made) fs::permissions(*level, fs::perms::owner_all, failure);
    if (failure) return failure;
  }
  return failure;
}

int milliseconds(Duration duration) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::bind(int parameter, std::int64_t value) {
  SLOTH_CHECK(sqlite3_bind_int64(statement_.get(), parameter, value) == SQLITE_OK);
  return *this;
}

// Too long a text leaves NULL behind, which the schema refuses when the statement runs.
Statement& Statement::bind_text(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data() ? text.data() : "", text.size(), nullptr,
                      SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int parameter, std::string_view bytes) {
  sqlite3_bind_blob64(statement_.get(), parameter, bytes.data() ? bytes.data() : "", bytes.size(), nullptr);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  // Before reset: it would wipe the message.
  Result<bool> result = false;
  if (code != SQLITE_DONE) result = database_->error(code);
  reset();
  return result;
}

Result<void> Statement::run() {
  while (true) {
    const auto row = step();
    if (!row) return row.error();
    if (!*row) return {};
  }
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data ? std::string(static_cast<const char*>(data), static_cast<std::size_t>(size)) : std::string();
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Options options) {
  std::unique_ptr<Database> database(new Database(path, std::move(options)));
  const fs::path directory = fs::path(path).parent_path();
  if (const auto failure = make_private_directories(directory)) {
    return database->error(Code::kIo,
                           fmt::format("cannot make the directory {} ({}); make it yourself, or set "
                                       "XDG_STATE_HOME to one that this user may write",
                                       directory.string(), failure.message()));
  }
  std::error_code ignored;
  const bool existed = fs::exists(path, ignored);
  const int code = sqlite3_open_v2(path.c_str(), &database->handle_,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return database->error(code);
  sqlite3* handle = database->handle_;
  // What tasks print may be secret.
  if (!existed) fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write, ignored);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, milliseconds(database->options_.busy_wait));
  // A checkpoint syncs the disk, tens of milliseconds, which would be most of a short run. The log is folded
  // into the file whenever it has grown to 1000 pages instead; a file that is no business of ours stays as it
  // is.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return database;
}

Database::~Database() { sqlite3_close(handle_); }

Result<void> Database::configure() {
  const char* settings = options_.durable ? "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON"
                                          : "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON";
  if (auto done = execute(settings); !done) return done;
  // Two processes that make the same file: the switch does not wait for the other, as it could wait forever.
  const TimePoint give_up = std::chrono::steady_clock::now() + options_.busy_wait;
  while (true) {
    auto switched = execute("PRAGMA journal_mode = WAL");
    const bool busy = !switched && switched.error().code == Code::kUnavailable;
    if (!busy || std::chrono::steady_clock::now() >= give_up) return switched;
    sqlite3_sleep(5);
  }
}

Result<void> Database::limit_size(std::size_t bytes) {
  const auto page_size = query_integer("PRAGMA page_size");
  if (!page_size) return page_size.error();
  return execute(fmt::format("PRAGMA max_page_count = {}", bytes / static_cast<std::size_t>(*page_size)));
}

Result<void> Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

Result<Statement> Database::prepare(const std::string& sql) {
  sqlite3_stmt* made = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  if (code != SQLITE_OK) return error(code);
  Statement statement;
  statement.database_ = this;
  statement.statement_.reset(made);
  return statement;
}

Result<std::int64_t> Database::query_integer(const std::string& sql) {
  auto statement = prepare(sql);
  if (!statement) return statement.error();
  const auto row = statement->step();
  if (!row) return row.error();
  SLOTH_CHECK(*row);
  return statement->integer(0);
}

void Database::roll_back() {
  // Some errors have already ended the transaction.
  if (sqlite3_get_autocommit(handle_) == 0) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

std::int64_t Database::last_row() const { return sqlite3_last_insert_rowid(handle_); }

Error Database::error(int code) const {
  std::string reason = handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  const int number = handle_ ? sqlite3_system_errno(handle_) : 0;
  // ENOENT comes from its second try, without the right to make the file; the first told the reason.
  if (number != 0 && number != ENOENT) reason += std::string(": ") + std::strerror(number);
  const std::string directory = fs::absolute(fs::path(path_)).parent_path().string();
  switch (code & 0xff) {
    case SQLITE_FULL:
      return error(Code::kIo,
                   fmt::format("no space left ({}); free some in {}, or set XDG_STATE_HOME to another disk",
                               reason, directory));
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return error(
          Code::kInvalid,
          fmt::format("damaged, or no database ({}); it was left as it is: move it away and run again",
                      reason));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return error(Code::kUnavailable,
                   fmt::format("another process has been writing for {}; try again when it has ended",
                               format_duration(options_.busy_wait)));
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return error(Code::kIo,
                   fmt::format("cannot be written ({}); let this user write in {}, or set XDG_STATE_HOME to "
                               "another directory",
                               reason, directory));
    case SQLITE_IOERR:
      return error(Code::kIo,
                   fmt::format("{}; look at the disk and its free space: df {}", reason, directory));
    case SQLITE_CONSTRAINT: return error(Code::kRefused, reason);
    default: return error(Code::kIo, reason);
  }
}

Error Database::error(Code code, std::string_view text) const {
  return Error{code, fmt::format("{} {}: {}", options_.label, path_, text)};
}

}  // namespace sloth
