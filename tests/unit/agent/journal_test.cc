#include "agent/journal.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <stdexcept>
#include <utility>

#include "runner/exec/executor.h"

namespace sloth {
namespace {

constexpr std::chrono::seconds kPatience{60};

class JournalFixture {
 public:
  JournalFixture() {
    std::string name = (std::filesystem::temp_directory_path() / "sloth_journal_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    options = {name, "web-1", 0};
    open();
  }
  ~JournalFixture() {
    journal.reset();
    executor.stop();
    std::error_code ignored;
    std::filesystem::remove_all(options.directory, ignored);
  }

  void open() {
    journal.reset();
    auto opened = Journal::open(options, Strand(executor), clock);
    if (!opened) throw std::runtime_error(opened.error().message);
    journal = std::move(*opened);
    rows = journal->take_rows();
    kept = journal->take_kept();
  }

  // The answer to one change.
  template <class Value, class Change>
  Result<Value> ask(Change change) {
    std::promise<Result<Value>> answered;
    change([&](Result<Value> answer) { answered.set_value(std::move(answer)); });
    auto answer = answered.get_future();
    REQUIRE(answer.wait_for(kPatience) == std::future_status::ready);
    return answer.get();
  }
  Journal::Acceptance accept(const JournalRow& row) {
    auto answer = ask<Journal::Acceptance>([&](auto done) { journal->accept(row, std::move(done)); });
    REQUIRE(answer);
    return *answer;
  }
  template <class Change>
  void change(Change call) {
    REQUIRE(ask<void>(call));
  }
  std::vector<std::string> home(const JournalRow& row, bool keep) {
    auto answer =
        ask<std::vector<std::string>>([&](auto done) { journal->home(row, keep, std::move(done)); });
    REQUIRE(answer);
    return *answer;
  }

  static JournalRow row(const std::string& task, int number = 1) {
    JournalRow made;
    made.key = {"run-1", task, "web-1", number};
    made.id = attempt_id(made.key);
    made.digest = std::string(64, 'd');
    made.account = {"deploy", 1001, 1002, "/home/deploy"};
    made.workspace = "/somewhere/" + made.id;
    made.timeout = std::chrono::minutes(30);
    made.created_ms = 5;
    return made;
  }

  Journal::Options options;
  Executor executor{{.workers = 2}};
  SystemClock clock;
  std::unique_ptr<Journal> journal;
  std::vector<JournalRow> rows;
  std::vector<std::string> kept;
};

using Verdict = Journal::Acceptance::Verdict;

}  // namespace

TEST_CASE("a journal keeps its key, and each row as far as it came") {
  JournalFixture fixture;
  const std::string key = fixture.journal->key();
  CHECK(key.size() == 32);
  JournalRow row = JournalFixture::row("build");
  CHECK(fixture.accept(row).verdict == Verdict::kAccepted);
  fixture.open();
  CHECK(fixture.journal->key() == key);
  REQUIRE(fixture.rows.size() == 1);
  CHECK(fixture.rows[0].id == row.id);
  CHECK(fixture.rows[0].key == row.key);
  CHECK(fixture.rows[0].digest == row.digest);
  CHECK(fixture.rows[0].state == AttemptState::kAccepted);
  CHECK(fixture.rows[0].process.pid == -1);
  CHECK(fixture.rows[0].account.name == "deploy");
  CHECK(fixture.rows[0].account.uid == 1001);
  CHECK(fixture.rows[0].account.gid == 1002);
  CHECK(fixture.rows[0].account.home == "/home/deploy");
  CHECK(fixture.rows[0].workspace == row.workspace);
  CHECK(fixture.rows[0].timeout == row.timeout);
  CHECK(fixture.rows[0].created_ms == 5);

  const ProcessName process{4711, 99, "boot"};
  fixture.change([&](auto done) { fixture.journal->started(row.id, std::move(done)); });
  fixture.change([&](auto done) { fixture.journal->named(row.id, process, std::move(done)); });
  fixture.change(
      [&](auto done) { fixture.journal->acknowledged(row.id, 3 << 20, 2 << 20, std::move(done)); });
  fixture.open();
  CHECK(fixture.rows.at(0).state == AttemptState::kRunning);
  CHECK(fixture.rows[0].process == process);
  CHECK(fixture.rows[0].acked == 3 << 20);
  CHECK(fixture.rows[0].anchor == 2 << 20);

  row.state = AttemptState::kFailed;
  row.outcome = std::string("\0bytes", 6);
  row.spool_end = 77;
  row.ended_ms = 8;
  fixture.change([&](auto done) { fixture.journal->ended(row, std::move(done)); });
  fixture.open();
  CHECK(fixture.rows.at(0).state == AttemptState::kFailed);
  CHECK(fixture.rows[0].outcome == row.outcome);
  CHECK(fixture.rows[0].spool_end == 77);
  CHECK(fixture.rows[0].ended_ms == 8);

  CHECK(fixture.home(row, false).empty());
  fixture.open();
  CHECK(fixture.rows.empty());
  CHECK(fixture.kept.empty());
}

TEST_CASE("an attempt without a timeout has none after reading") {
  JournalFixture fixture;
  JournalRow row = JournalFixture::row("build");
  row.timeout.reset();
  row.state = AttemptState::kRunning;
  fixture.accept(row);
  fixture.open();
  CHECK_FALSE(fixture.rows.at(0).timeout);
  CHECK(fixture.rows[0].state == AttemptState::kRunning);
  fixture.change([&](auto done) { fixture.journal->back(row.id, std::move(done)); });
  fixture.open();
  CHECK(fixture.rows.at(0).state == AttemptState::kAccepted);
}

TEST_CASE("F23: epochs outlive rows: lower numbers are superseded, an ended one is known") {
  JournalFixture fixture;
  JournalRow second = JournalFixture::row("build", 2);
  CHECK(fixture.accept(second).verdict == Verdict::kAccepted);
  auto lower = fixture.accept(JournalFixture::row("build", 1));
  CHECK(lower.verdict == Verdict::kSuperseded);
  CHECK(lower.newest == 2);
  CHECK(fixture.accept(JournalFixture::row("other", 1)).verdict == Verdict::kAccepted);

  second.state = AttemptState::kTimedOut;
  fixture.change([&](auto done) { fixture.journal->ended(second, std::move(done)); });
  fixture.home(second, false);
  fixture.open();
  CHECK(fixture.accept(JournalFixture::row("build", 1)).verdict == Verdict::kSuperseded);
  const auto find = [&](const std::string& id) {
    std::promise<std::optional<AttemptState>> found;
    fixture.journal->find_end(id, [&](std::optional<AttemptState> end) { found.set_value(end); });
    return found.get_future().get();
  };
  CHECK(find(second.id) == AttemptState::kTimedOut);
  CHECK_FALSE(find(JournalFixture::row("other", 1).id));
  CHECK_FALSE(find("nobody"));
  const auto again = fixture.accept(JournalFixture::row("build", 2));
  CHECK(again.verdict == Verdict::kEndedBefore);
  CHECK(again.ended == AttemptState::kTimedOut);
  CHECK(fixture.accept(JournalFixture::row("build", 3)).verdict == Verdict::kAccepted);
  fixture.open();
  CHECK(fixture.rows.size() == 2);
}

TEST_CASE("a dropped attempt may be accepted again") {
  JournalFixture fixture;
  const JournalRow row = JournalFixture::row("build");
  fixture.accept(row);
  fixture.change([&](auto done) { fixture.journal->drop(row.id, std::move(done)); });
  CHECK(fixture.accept(row).verdict == Verdict::kAccepted);
}

TEST_CASE("of the rows with kept workspaces the newest fifty stay") {
  JournalFixture fixture;
  std::vector<std::string> ids;
  std::vector<std::string> gone;
  for (int i = 0; i < 52; ++i) {
    JournalRow row = JournalFixture::row("task-" + std::to_string(i));
    fixture.accept(row);
    row.state = AttemptState::kFailed;
    row.ended_ms = 1000 + i / 2;
    fixture.change([&](auto done) { fixture.journal->ended(row, std::move(done)); });
    ids.push_back(row.id);
    for (const std::string& id : fixture.home(row, true)) gone.push_back(id);
  }
  CHECK(gone == std::vector<std::string>{ids[0], ids[1]});
  fixture.open();
  CHECK(fixture.rows.empty());
  CHECK(fixture.kept.size() == 50);
}

TEST_CASE("F30: a full journal says so, keeps what it has, and takes more when there is room") {
  JournalFixture fixture;
  fixture.options.most_bytes = 300'000;
  fixture.open();
  std::vector<JournalRow> taken;
  std::optional<Error> full;
  while (!full && taken.size() < 1000) {
    JournalRow row = JournalFixture::row("task-" + std::to_string(taken.size()) + std::string(1000, 'x'));
    auto answer =
        fixture.ask<Journal::Acceptance>([&](auto done) { fixture.journal->accept(row, std::move(done)); });
    if (answer) {
      taken.push_back(row);
    } else {
      full = answer.error();
    }
  }
  REQUIRE(full);
  CHECK(Journal::is_full(*full));
  CHECK_FALSE(Journal::is_full(Error{Code::kIo, "agent journal /x: disk I/O error"}));
  for (int i = 0; i < 10; ++i) fixture.home(taken.at(static_cast<std::size_t>(i)), false);
  CHECK(fixture.accept(JournalFixture::row("later")).verdict == Verdict::kAccepted);
  fixture.options.most_bytes = 0;
  fixture.open();
  CHECK(fixture.rows.size() == taken.size() - 10 + 1);
}

TEST_CASE("a journal with attempts belongs to the agent that accepted them") {
  JournalFixture fixture;
  fixture.options.name = "web-2";
  fixture.open();
  fixture.options.name = "web-1";
  fixture.open();
  const JournalRow row = JournalFixture::row("build");
  fixture.accept(row);
  fixture.options.name = "web-2";
  const auto refused = Journal::open(fixture.options, Strand(fixture.executor), fixture.clock);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kRefused);
  CHECK(refused.error().message.find("\"web-1\"") != std::string::npos);
}

TEST_CASE("a database of another program is not taken for a journal") {
  JournalFixture fixture;
  fixture.journal.reset();
  const std::string path = fixture.options.directory + "/journal.db";
  for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(path + ending);
  {
    auto other = Database::open(path, {.label = "other"});
    REQUIRE(other);
    REQUIRE((*other)->execute("CREATE TABLE mine (x); PRAGMA application_id = 7"));
  }
  const auto refused = Journal::open(fixture.options, Strand(fixture.executor), fixture.clock);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kInvalid);
  CHECK(refused.error().message.find(path) != std::string::npos);
}

TEST_CASE("many changes at once are all written, in their order") {
  JournalFixture fixture;
  constexpr int kMany = 500;
  std::promise<void> over;
  std::atomic<int> left{kMany};
  for (int i = 0; i < kMany; ++i) {
    fixture.journal->accept(JournalFixture::row("task", i + 1),
                            [&](const Result<Journal::Acceptance>& answer) {
                              if (answer && answer->verdict == Verdict::kAccepted && --left == 0)
                                over.set_value();
                            });
  }
  REQUIRE(over.get_future().wait_for(kPatience) == std::future_status::ready);
  fixture.open();
  CHECK(fixture.rows.size() == kMany);
}

}  // namespace sloth
