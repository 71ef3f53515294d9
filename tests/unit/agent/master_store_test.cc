#include "agent/master_store.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <memory>

#include "runner/exec/executor.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

const std::string kRequest("bytes\0of it", 11);

class Fixture {
 public:
  Fixture() { open(); }
  ~Fixture() {
    store_.reset();
    executor_.stop();
    static_cast<void>(remove_path(root_, true));
  }
  void open() {
    store_.reset();
    auto opened = MasterStore::open(path(), Strand(executor_));
    REQUIRE(opened);
    store_ = std::move(*opened);
  }
  Result<std::unique_ptr<MasterStore>> try_open() {
    store_.reset();
    return MasterStore::open(path(), Strand(executor_));
  }
  MasterStore& store() { return *store_; }
  [[nodiscard]] std::string path() const { return root_ + "/master.db"; }
  void close() { store_.reset(); }

  template <class Ask>
  Result<void> change(Ask ask) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    auto future = promise->get_future();
    ask([promise](Result<void> result) { promise->set_value(std::move(result)); });
    REQUIRE(future.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    return future.get();
  }
  template <class T, class Ask>
  T look(Ask ask) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    ask([promise](Result<T> result) { promise->set_value(std::move(result)); });
    REQUIRE(future.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    Result<T> result = future.get();
    REQUIRE(result);
    return std::move(*result);
  }
  Result<void> insert(AttemptRow row) {
    return change([&](auto done) {
      store().insert(std::move(row), {kRequest, {"d1", "d2"}}, std::move(done));
    });
  }
  Result<void> update(AttemptRow row) {
    return change([&](auto done) { store().update(std::move(row), std::move(done)); });
  }
  std::optional<AttemptRow> find(const std::string& id) {
    return look<std::optional<AttemptRow>>([&](auto done) { store().find(id, std::move(done)); });
  }

 private:
  Executor executor_{{.workers = 2}};
  const std::string root_ = *make_temp_directory("sloth_master_store_");
  std::unique_ptr<MasterStore> store_;
};

AttemptRow row_of(const std::string& task, int number = 1) {
  AttemptRow row;
  row.key = {"run-1", task, "web-1", number};
  row.id = attempt_id(row.key);
  row.digest = "digest";
  row.queue_ms = 5;
  row.lost_ms = 6;
  row.queued_at_ms = 7;
  return row;
}

AttemptRow ended(AttemptRow row, AttemptState state, std::int64_t at_ms = 100) {
  row.state = state;
  row.ended_at_ms = at_ms;
  row.outcome = std::string("out\0come", 8);
  row.spool_end = 11;
  return row;
}

TEST_CASE("attempts and agents are there again after the store was closed") {
  Fixture fixture;
  AttemptRow row = row_of("build");
  row.detail = "a detail";
  REQUIRE(fixture.insert(row));
  row.state = AttemptState::kOffered;
  row.agent_key = "key";
  row.cancel = true;
  row.cancel_reason = "why";
  REQUIRE(fixture.update(row));
  REQUIRE(fixture.insert(row_of("other")));
  REQUIRE(fixture.update(ended(row_of("other"), AttemptState::kFailed)));
  REQUIRE(fixture.change([&](auto done) {
    fixture.store().put_agent({"web-1", "key", "1.0", "host", 12, 4, 99}, std::move(done));
  }));
  fixture.open();
  const auto live = fixture.store().live_attempts();
  REQUIRE(live);
  REQUIRE(live->size() == 1);
  const AttemptRow& kept = live->front();
  CHECK(kept.id == row.id);
  CHECK(kept.key == row.key);
  CHECK(kept.state == AttemptState::kOffered);
  CHECK(kept.agent_key == "key");
  CHECK(kept.cancel);
  CHECK(kept.cancel_reason == "why");
  CHECK(kept.queue_ms == 5);
  CHECK(kept.lost_ms == 6);
  CHECK(kept.queued_at_ms == 7);
  const auto agents = fixture.store().agents();
  REQUIRE(agents);
  REQUIRE(agents->size() == 1);
  CHECK(agents->front().host == "host");
  CHECK(agents->front().last_seen_ms == 99);
  const auto other = fixture.find(row_of("other").id);
  REQUIRE(other);
  CHECK(other->state == AttemptState::kFailed);
  CHECK(other->outcome == std::string("out\0come", 8));
  CHECK(other->spool_end == 11);
}

TEST_CASE("an attempt ends once: the file itself refuses a second end") {
  Fixture fixture;
  const AttemptRow row = row_of("build");
  REQUIRE(fixture.insert(row));
  REQUIRE(fixture.update(ended(row, AttemptState::kCancelled)));
  const auto second = fixture.update(ended(row, AttemptState::kSucceeded));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::kRefused);
  CHECK(fixture.find(row.id)->state == AttemptState::kCancelled);
}

TEST_CASE("the same id is not inserted twice") {
  Fixture fixture;
  REQUIRE(fixture.insert(row_of("build")));
  const auto again = fixture.insert(row_of("build"));
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::kRefused);
}

TEST_CASE("a request is kept until the attempt ends") {
  Fixture fixture;
  const AttemptRow row = row_of("build");
  REQUIRE(fixture.insert(row));
  CHECK(fixture.look<std::string>([&](auto done) { fixture.store().request_of(row.id, std::move(done)); }) ==
        kRequest);
  CHECK(fixture.look<std::vector<std::string>>([&](auto done) {
    fixture.store().blobs_in_use(std::move(done));
  }) == std::vector<std::string>{"d1", "d2"});
  REQUIRE(fixture.update(ended(row, AttemptState::kSucceeded)));
  CHECK(fixture
            .look<std::vector<std::string>>([&](auto done) { fixture.store().blobs_in_use(std::move(done)); })
            .empty());
}

TEST_CASE("only the first late result is kept as evidence") {
  Fixture fixture;
  const AttemptRow row = row_of("build");
  REQUIRE(fixture.insert(row));
  REQUIRE(fixture.update(ended(row, AttemptState::kLost)));
  for (const auto state : {AttemptState::kSucceeded, AttemptState::kFailed}) {
    REQUIRE(fixture.change([&](auto done) {
      fixture.store().add_evidence({row.id, state, "late", 3}, 5, std::move(done));
    }));
  }
  fixture.close();
  auto database = Database::open(fixture.path(), {.label = "journal"});
  REQUIRE(database);
  CHECK(*(*database)->query_integer("SELECT count(*) FROM evidence WHERE state = 'succeeded'") == 1);
  CHECK(*(*database)->query_integer("SELECT count(*) FROM evidence") == 1);
}

TEST_CASE("what ended before a time is forgotten, what lives is not") {
  Fixture fixture;
  for (const char* task : {"old", "young", "living"}) REQUIRE(fixture.insert(row_of(task)));
  REQUIRE(fixture.update(ended(row_of("old"), AttemptState::kFailed, 10)));
  REQUIRE(fixture.update(ended(row_of("young"), AttemptState::kFailed, 30)));
  const auto forgotten = fixture.look<std::vector<std::string>>(
      [&](auto done) { fixture.store().forget(20, 100, std::move(done)); });
  CHECK(forgotten == std::vector<std::string>{row_of("old").id});
  CHECK_FALSE(fixture.find(row_of("old").id));
  CHECK(fixture.find(row_of("young").id));
  CHECK(fixture.find(row_of("living").id));
  CHECK(fixture.look<std::vector<std::string>>([&](auto done) {
    fixture.store().unknown_of({row_of("old").id, row_of("young").id}, std::move(done));
  }) == std::vector<std::string>{row_of("old").id});
}

TEST_CASE("a later attempt supersedes an earlier one") {
  Fixture fixture;
  REQUIRE(fixture.insert(row_of("build", 1)));
  REQUIRE(fixture.insert(row_of("build", 2)));
  const auto superseded = [&](int number) {
    return fixture.look<bool>(
        [&](auto done) { fixture.store().is_superseded(row_of("build", number).key, std::move(done)); });
  };
  CHECK(superseded(1));
  CHECK_FALSE(superseded(2));
}

TEST_CASE("a damaged database is named and left untouched") {
  Fixture fixture;
  for (int i = 0; i < 50; ++i) REQUIRE(fixture.insert(row_of("task-" + std::to_string(i))));
  fixture.close();
  {
    // Into the file itself, not only its log.
    auto database = Database::open(fixture.path(), {.label = "journal"});
    REQUIRE(database);
    REQUIRE((*database)->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  std::string bytes = *read_file(fixture.path(), 1 << 24);
  SECTION("bits flipped") {
    for (std::size_t at = 4096; at < bytes.size(); at += 97) bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
  }
  SECTION("cut") { bytes.resize(bytes.size() / 2 + 100); }
  SECTION("no database at all") { bytes = std::string(8192, 'x'); }
  REQUIRE(write_file(fixture.path(), bytes));
  const auto opened = fixture.try_open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::kInvalid);
  CHECK(opened.error().message.find(fixture.path()) != std::string::npos);
  CHECK(*read_file(fixture.path(), 1 << 24) == bytes);
}

TEST_CASE("a database of a newer version is refused with both versions") {
  Fixture fixture;
  fixture.close();
  {
    auto database = Database::open(fixture.path(), {.label = "journal"});
    REQUIRE(database);
    REQUIRE((*database)->execute("PRAGMA user_version = 999"));
  }
  const auto opened = fixture.try_open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::kInvalid);
  CHECK(opened.error().message.find("schema 999, this one knows 1") != std::string::npos);
}

}  // namespace
}  // namespace sloth
