#include "agent/spool_store.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "runner/exec/executor.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

class Fixture {
 public:
  Fixture() { REQUIRE(store().prepare()); }
  ~Fixture() {
    store_.reset();
    executor_.stop();
    static_cast<void>(remove_path(root_, true));
  }
  SpoolStore& store() { return *store_; }
  void destroy_store() { store_.reset(); }
  Result<std::uint64_t> append(std::uint64_t offset, std::string bytes) {
    return await<std::uint64_t>(
        [&](auto done) { store().append("a", offset, std::move(bytes), std::move(done)); });
  }
  Result<std::string> read(std::uint64_t offset, std::size_t limit) {
    return await<std::string>([&](auto done) { store().read("a", offset, limit, std::move(done)); });
  }
  Result<std::uint64_t> size(const std::string& attempt) {
    return await<std::uint64_t>([&](auto done) { store().size(attempt, std::move(done)); });
  }
  [[nodiscard]] std::string path() const { return directory() + "/a"; }
  [[nodiscard]] std::string directory() const { return root_ + "/spools"; }

 private:
  template <class T, class Ask>
  Result<T> await(Ask ask) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    ask([promise](Result<T> result) { promise->set_value(std::move(result)); });
    REQUIRE(future.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    return future.get();
  }

  Executor executor_{{.workers = 2}};
  const std::string root_ = *make_temp_directory("sloth_spools_");
  std::unique_ptr<SpoolStore> store_ = std::make_unique<SpoolStore>(directory(), Strand(executor_));
};

TEST_CASE("parts are appended, kept and read back") {
  Fixture fixture;
  CHECK(*fixture.size("a") == 0);
  CHECK(*fixture.append(0, "hello ") == 6);
  CHECK(*fixture.append(6, "world") == 11);
  CHECK(*fixture.read(0, 100) == "hello world");
  CHECK(*fixture.read(6, 2) == "wo");
  CHECK(fixture.read(11, 100)->empty());
  CHECK(*fixture.size("a") == 11);
  CHECK(*fixture.store().size_now("a") == 11);
  CHECK(fixture.store().list(std::numeric_limits<std::int64_t>::max())->size() == 1);
  CHECK(fixture.store().list(0)->empty());
}

TEST_CASE("spools are private to their owner") {
  Fixture fixture;
  REQUIRE(fixture.append(0, "secret"));
  CHECK(stat_file(fixture.directory())->mode == 0700);
  CHECK(stat_file(fixture.path())->mode == 0600);
}

TEST_CASE("many appends at once all become durable, in order") {
  Fixture fixture;
  constexpr int kParts = 500;
  auto ends = std::make_shared<std::vector<std::uint64_t>>();
  auto promise = std::make_shared<std::promise<void>>();
  std::string all;
  for (int i = 0; i < kParts; ++i) {
    const std::string bytes = std::to_string(i) + ",";
    fixture.store().append("a", all.size(), bytes, [ends, promise](Result<std::uint64_t> end) {
      ends->push_back(end ? *end : 0);
      if (ends->size() == kParts) promise->set_value();
    });
    all += bytes;
  }
  REQUIRE(promise->get_future().wait_for(std::chrono::seconds(30)) == std::future_status::ready);
  CHECK(std::is_sorted(ends->begin(), ends->end()));
  CHECK(ends->back() == all.size());
  CHECK(*read_file(fixture.path(), 1 << 20) == all);
}

TEST_CASE("what a failed write left is cut off before the next") {
  Fixture fixture;
  REQUIRE(fixture.append(0, "kept"));
  REQUIRE(append_file(fixture.path(), "half of some"));
  CHECK(*fixture.append(4, " and more") == 13);
  CHECK(*fixture.read(0, 100) == "kept and more");
}

TEST_CASE("a file that lost bytes is not written to") {
  Fixture fixture;
  REQUIRE(fixture.append(0, "kept"));
  REQUIRE(write_file(fixture.path(), "k"));
  const auto appended = fixture.append(4, " and more");
  REQUIRE_FALSE(appended);
  CHECK(appended.error().code == Code::kInvalid);
  CHECK(appended.error().message.find(fixture.path()) != std::string::npos);
  CHECK(*read_file(fixture.path(), 100) == "k");
}

TEST_CASE("a spool that cannot be written says so, and others go on") {
  Fixture fixture;
  REQUIRE(make_directory(fixture.path()));
  CHECK_FALSE(fixture.append(0, "bytes"));
  CHECK_FALSE(fixture.read(0, 10));
  CHECK(*fixture.size("b") == 0);
}

TEST_CASE("a store that goes waits for what is being written and tells nobody about the rest") {
  Fixture fixture;
  auto token = std::make_shared<int>(0);
  for (std::uint64_t i = 0; i < 50; ++i) {
    fixture.store().append("a", i, "x", [token](Result<std::uint64_t>) {});
  }
  fixture.destroy_store();
  const auto size = stat_file(fixture.path());
  const std::uint64_t before = size ? size->size : 0;
  // Nobody writes any more.
  CHECK((stat_file(fixture.path()) ? stat_file(fixture.path())->size : 0) == before);
}

}  // namespace
}  // namespace sloth
