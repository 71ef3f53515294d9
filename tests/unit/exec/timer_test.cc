#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"
#include "runner/exec/timer_queue.h"
#include "tests/unit/exec/countdown.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::Countdown;
using test::eventually;
using test::kPatience;
using Lane = TimerQueue::Lane;

std::vector<TimerQueue::Due> take_all(TimerQueue& queue) {
  std::vector<TimerQueue::Due> due;
  queue.take_due(TimePoint::max(), 1000000, due);
  return due;
}

TEST_CASE("a timer queue gives back what was not cancelled, by deadline and then by arrival") {
  std::mt19937 random(7);
  TimerQueue queue;
  struct Expected {
    TimePoint when;
    int number;
    std::uint64_t id;
  };
  std::vector<Expected> expected;
  std::vector<int> ran;
  int number = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 20; ++i) {
      const TimePoint when{milliseconds(random() % 50)};
      const auto added = queue.add(when, Lane::kCpu, [&ran, number] { ran.push_back(number); });
      REQUIRE(added.id != 0);
      expected.push_back({when, number++, added.id});
    }
    for (int i = 0; i < 10; ++i) {
      const auto victim = expected.begin() + static_cast<std::ptrdiff_t>(random() % expected.size());
      REQUIRE(queue.cancel(victim->id));
      REQUIRE_FALSE(queue.cancel(victim->id));
      expected.erase(victim);
    }
  }
  std::stable_sort(expected.begin(), expected.end(),
                   [](const Expected& a, const Expected& b) { return a.when < b.when; });
  CHECK(queue.next() == expected.front().when);
  for (TimerQueue::Due& due : take_all(queue)) due.job();
  REQUIRE(ran.size() == expected.size());
  for (std::size_t i = 0; i < ran.size(); ++i) REQUIRE(ran[i] == expected[i].number);
  CHECK_FALSE(queue.next().has_value());
}

TEST_CASE("a timer queue tells when a new timer is the earliest") {
  TimerQueue queue;
  CHECK(queue.add(TimePoint(hours(2)), Lane::kCpu, [] {}).earliest);
  CHECK_FALSE(queue.add(TimePoint(hours(3)), Lane::kCpu, [] {}).earliest);
  CHECK(queue.add(TimePoint(hours(1)), Lane::kCpu, [] {}).earliest);
}

TEST_CASE("the id of a timer that is gone never names a later one") {
  TimerQueue queue;
  const std::uint64_t first = queue.add(TimePoint(hours(1)), Lane::kCpu, [] {}).id;
  REQUIRE(queue.cancel(first));
  const std::uint64_t second = queue.add(TimePoint(hours(1)), Lane::kCpu, [] {}).id;
  CHECK(first != second);
  CHECK_FALSE(queue.cancel(first));
  CHECK_FALSE(queue.cancel(0));
  CHECK_FALSE(queue.cancel(TimerQueue::kNeverQueued));
  CHECK(queue.cancel(second));
}

TEST_CASE("a closed timer queue has destroyed its jobs and takes no more") {
  const auto token = std::make_shared<int>(0);
  TimerQueue queue;
  const std::uint64_t id = queue.add(TimePoint(hours(1)), Lane::kCpu, [token] {}).id;
  queue.close();
  CHECK(token.use_count() == 1);
  CHECK_FALSE(queue.cancel(id));
  CHECK(queue.add(TimePoint(hours(1)), Lane::kCpu, [token] {}).id == 0);
  CHECK(token.use_count() == 1);
}

TEST_CASE("a hundred thousand timers fire, none of them too early") {
  const int workers = GENERATE(1, 2, 8, 64);
  constexpr int kTimers = 100000;
  std::mt19937 random(static_cast<unsigned>(workers));
  Countdown finished(kTimers);
  std::atomic<int> early{0};
  Executor executor({.workers = workers});
  const TimePoint start = steady_clock::now() + milliseconds(200);
  for (int i = 0; i < kTimers; ++i) {
    const TimePoint when = start + microseconds(random() % 100000);
    const TimerId id = executor.run_at(when, [&, when] {
      if (steady_clock::now() < when) early.fetch_add(1);
      finished.done();
    });
    if (id == 0) FAIL("refused");
  }
  REQUIRE(finished.wait());
  CHECK(early.load() == 0);
}

TEST_CASE("one worker runs timers strictly by deadline, whatever the order they were set in") {
  constexpr int kTimers = 100000;
  std::mt19937 random(3);
  std::vector<int> ranks(kTimers);
  std::iota(ranks.begin(), ranks.end(), 0);
  std::shuffle(ranks.begin(), ranks.end(), random);
  std::vector<int> fired;
  // All must be set before the first is due; a slow machine gets more time for that.
  for (auto lead = milliseconds(300);; lead *= 2) {
    REQUIRE(lead < kPatience);
    fired.clear();
    Countdown finished(kTimers);
    Executor executor({.workers = 1});
    const TimePoint start = steady_clock::now() + lead;
    for (const int rank : ranks) {
      executor.run_at(start + microseconds(rank), [&fired, &finished, rank] {
        fired.push_back(rank);
        finished.done();
      });
    }
    if (steady_clock::now() >= start) continue;
    REQUIRE(finished.wait());
    break;
  }
  CHECK(std::is_sorted(fired.begin(), fired.end()));
}

TEST_CASE("a timer that is set later but due earlier does not wait for the others") {
  Countdown finished(1);
  Executor executor({.workers = 1});
  const TimerId far = executor.run_at(steady_clock::now() + hours(1), [] {});
  executor.run_at(steady_clock::now() + milliseconds(5), [&finished] { finished.done(); });
  REQUIRE(finished.wait());
  CHECK(executor.cancel(far));
}

TEST_CASE("a timer of the past runs at once and can not be cancelled any more") {
  Countdown finished(1);
  Executor executor({.workers = 1});
  const TimerId id = executor.run_at(steady_clock::now(), [&finished] { finished.done(); });
  REQUIRE(finished.wait());
  CHECK(id != 0);
  CHECK_FALSE(executor.cancel(id));
  CHECK(executor.stats().workers_started == 1);
}

TEST_CASE("each timer either runs or is cancelled, never both, when both happen at once") {
  const int workers = GENERATE(1, 2, 8, 64);
  constexpr int kTimers = 20000;
  std::vector<std::atomic<int>> runs(kTimers);
  std::vector<TimerId> ids(kTimers);
  std::vector<std::atomic<bool>> cancelled(kTimers);
  std::atomic<int> settled{0};
  Executor executor({.workers = workers});
  const TimePoint start = steady_clock::now() + milliseconds(5);
  for (std::size_t i = 0; i < kTimers; ++i) {
    ids[i] = executor.run_at(start + microseconds(i), [&runs, &settled, i] {
      runs[i].fetch_add(1);
      settled.fetch_add(1);
    });
  }
  std::vector<std::thread> cancellers;
  for (std::size_t c = 0; c < 2; ++c) {
    cancellers.emplace_back([&, c] {
      for (std::size_t i = c; i < kTimers; i += 2) {
        if (!executor.cancel(ids[i])) continue;
        cancelled[i].store(true);
        settled.fetch_add(1);
      }
    });
  }
  for (std::thread& canceller : cancellers) canceller.join();
  REQUIRE(eventually([&settled] { return settled.load() >= kTimers; }));
  executor.stop();
  for (std::size_t i = 0; i < kTimers; ++i) REQUIRE(runs[i].load() + (cancelled[i].load() ? 1 : 0) == 1);
}

TEST_CASE("a cancelled timer's job is destroyed at once") {
  const auto token = std::make_shared<int>(0);
  Executor executor({.workers = 1});
  const TimerId id = executor.run_at(steady_clock::now() + hours(1), [token] {});
  REQUIRE(executor.cancel(id));
  CHECK(token.use_count() == 1);
  CHECK_FALSE(executor.cancel(id));
}

TEST_CASE("stop drops timers and destroys their jobs") {
  const auto token = std::make_shared<int>(0);
  Executor executor({.workers = 1});
  for (int i = 0; i < 100; ++i) executor.run_at(steady_clock::now() + hours(1), [token] {});
  REQUIRE(executor.reactor().post_at(steady_clock::now() + hours(1), [token] {}));
  executor.stop();
  CHECK(token.use_count() == 1);
  CHECK_FALSE(executor.reactor().post_at(steady_clock::now(), [token] {}));
}

TEST_CASE("the reactor's own timers run on its thread, and in order") {
  std::vector<int> order;
  Countdown finished(3);
  std::atomic<int> elsewhere{0};
  Executor executor({.workers = 1});
  Reactor& reactor = executor.reactor();
  const TimePoint start = steady_clock::now() + milliseconds(50);
  for (const int rank : {2, 0, 1}) {
    REQUIRE(reactor.post_at(start + milliseconds(rank), [&, rank] {
      if (!reactor.on_thread()) elsewhere.fetch_add(1);
      order.push_back(rank);
      finished.done();
    }));
  }
  REQUIRE(finished.wait());
  CHECK(order == std::vector<int>{0, 1, 2});
  CHECK(elsewhere.load() == 0);
  CHECK_FALSE(reactor.on_thread());
}

}  // namespace
}  // namespace sloth
