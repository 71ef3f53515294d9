#include <atomic>
#include <memory>
#include <vector>

#include "runner/exec/blocking_lane.h"
#include "runner/exec/executor.h"
#include "tests/unit/exec/countdown.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using std::chrono::milliseconds;
using test::Countdown;
using test::spin;
using test::eventually;

TEST_CASE("the blocking lane uses as many threads as its bound, never more") {
  const int bound = GENERATE(1, 2, 8, 64);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  Countdown full(bound);
  Countdown release(1);
  Countdown finished(bound * 3);
  Executor executor({.workers = 1, .blocking_threads = bound});
  for (int i = 0; i < bound * 3; ++i) {
    executor.post_blocking([&] {
      const int now = inside.fetch_add(1) + 1;
      int seen = most.load();
      while (now > seen && !most.compare_exchange_weak(seen, now)) {
      }
      full.done();
      release.wait();
      inside.fetch_sub(1);
      finished.done();
    });
  }
  REQUIRE(full.wait());
  CHECK(executor.stats().blocking_queued == static_cast<std::uint64_t>(bound) * 2);
  release.done();
  REQUIRE(finished.wait());
  CHECK(most.load() == bound);
  CHECK(executor.stats().blocking_started == bound);
  CHECK(executor.stats().workers_started == 0);
}

TEST_CASE("the blocking lane reuses a thread that is idle") {
  BlockingLane lane(8);
  for (int i = 0; i < 200; ++i) {
    Countdown finished(1);
    lane.post([&finished] { finished.done(); });
    REQUIRE(finished.wait());
    // The thread reports itself idle a moment after its job.
    REQUIRE(eventually([&lane] { return lane.stats().idle == lane.stats().alive; }));
  }
  CHECK(lane.stats().started == 1);
  lane.close();
  lane.join();
}

TEST_CASE("an idle thread of the blocking lane ends, and another starts when needed") {
  BlockingLane lane(8, milliseconds(1));
  for (int i = 0; i < 20; ++i) {
    Countdown finished(3);
    for (int job = 0; job < 3; ++job) lane.post([&finished] { finished.done(); });
    REQUIRE(finished.wait());
    REQUIRE(eventually([&lane] { return lane.stats().alive == 0; }));
  }
  CHECK(lane.stats().started >= 20);
  CHECK(lane.stats().executed == 60);
  lane.close();
  lane.join();
}

TEST_CASE("a job that arrives just as the last thread gives up still runs") {
  BlockingLane lane(2, std::chrono::microseconds(50));
  for (int i = 0; i < 3000; ++i) {
    Countdown finished(1);
    REQUIRE(lane.post([&finished] { finished.done(); }));
    REQUIRE(finished.wait());
    spin(std::chrono::microseconds(2 * (i % 40)));  // about when the thread's patience ends
  }
  lane.close();
  lane.join();
}

TEST_CASE("a blocking lane of one thread keeps the order, and its end runs what is queued") {
  std::vector<int> order;
  const auto token = std::make_shared<int>(0);
  BlockingLane lane(1);
  for (int i = 0; i < 1000; ++i) lane.post([&order, token, i] { order.push_back(i); });
  lane.close();
  CHECK_FALSE(lane.post([token] {}));
  lane.join();
  REQUIRE(order.size() == 1000);
  for (int i = 0; i < 1000; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
  CHECK(token.use_count() == 1);
}

TEST_CASE("every job of several posters runs once on the blocking lane") {
  constexpr int kJobs = 20000;
  std::atomic<int> ran{0};
  BlockingLane lane(8, milliseconds(1));
  std::vector<std::thread> posters;
  for (int p = 0; p < 4; ++p) {
    posters.emplace_back([&] {
      for (int i = 0; i < kJobs / 4; ++i) lane.post([&ran] { ran.fetch_add(1); });
    });
  }
  for (std::thread& poster : posters) poster.join();
  lane.close();
  lane.join();
  CHECK(ran.load() == kJobs);
}

}  // namespace
}  // namespace sloth
