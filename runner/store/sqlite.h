// Database, Statement: the SQLite C API with owners and errors by value. For this room and the journals of agent/.
//
// Not shared: one thread at a time. A Statement must not outlive its Database. Every error names the file,
// the reason and the cure; kIo, except kInvalid for a damaged file, kUnavailable when it stayed busy, and
// kRefused for a broken constraint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runner/base/clock.h"
#include "runner/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sloth {

class Statement {
 public:
  // Parameters count from 1. The bytes must stay until run() returns, or reset() after the last step().
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind_text(int parameter, std::string_view text);
  Statement& bind_blob(int parameter, std::string_view bytes);

  // True: there is a row. After false or an error the statement is reset.
  Result<bool> step();
  // Steps to the end; rows are dropped.
  Result<void> run();
  void reset();

  // REQUIRES: step() returned true. Columns count from 0.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string bytes(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  const class Database* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  struct Options {
    std::string label;  // how messages call the file: "run log"
    Duration busy_wait = std::chrono::seconds(5);
    bool durable = false;  // a commit is on the disk before it returns, not only safe from a torn file
  };

  // Opens or makes the file (mode 0600) and its missing directories (mode 0700). Nothing is written into an
  // existing file before configure().
  static Result<std::unique_ptr<Database>> open(const std::string& path, Options options);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // WAL, synchronous=NORMAL (FULL when durable), foreign keys. Closing leaves the log (FILE-wal) beside the file: they belong
  // together.
  Result<void> configure();
  // At least the present size.
  Result<void> limit_size(std::size_t bytes);

  Result<void> execute(const std::string& sql);
  Result<Statement> prepare(const std::string& sql);
  // The first column of the first row, as a number.
  Result<std::int64_t> query_integer(const std::string& sql);
  // Runs `body` (returning Result<void>) between BEGIN IMMEDIATE and COMMIT; an error rolls back.
  template <class Body>
  Result<void> transaction(Body&& body) {
    if (auto begun = execute("BEGIN IMMEDIATE"); !begun) return begun;
    Result<void> done = body();
    if (done) done = execute("COMMIT");
    if (!done) roll_back();
    return done;
  }
  [[nodiscard]] std::int64_t last_row() const;

  // "run log /home/a/runs.db: no space left ..." for a result code of this connection.
  [[nodiscard]] Error error(int code) const;
  // An error about the file in our own words.
  [[nodiscard]] Error error(Code code, std::string_view text) const;

 private:
  Database(std::string path, Options options) : path_(std::move(path)), options_(std::move(options)) {}
  void roll_back();

  const std::string path_;
  const Options options_;
  sqlite3* handle_ = nullptr;
};

}  // namespace sloth
