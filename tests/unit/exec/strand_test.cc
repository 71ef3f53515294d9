#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "runner/exec/executor.h"
#include "runner/exec/strand.h"
#include "tests/unit/exec/countdown.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using test::Countdown;

TEST_CASE("a strand runs the jobs of 64 posters one at a time, each poster's in order") {
  const int workers = GENERATE(1, 2, 8, 64);
  constexpr int kPosters = 64;
  constexpr int kJobs = 300;
  // Plain data: a second job at the same time would be a race, which the thread sanitizer reports.
  std::vector<int> next(kPosters, 0);
  int wrong = 0;
  int inside = 0;
  Countdown finished(kPosters * kJobs);
  Executor executor({.workers = workers});
  const Strand strand(executor);
  std::vector<std::thread> posters;
  for (int p = 0; p < kPosters; ++p) {
    posters.emplace_back([&, p] {
      for (int i = 0; i < kJobs; ++i) {
        strand.post([&, p, i] {
          if (++inside != 1 || !strand.running_here()) ++wrong;
          if (next[static_cast<std::size_t>(p)]++ != i) ++wrong;
          --inside;
          finished.done();
        });
      }
    });
  }
  for (std::thread& poster : posters) poster.join();
  REQUIRE(finished.wait());
  executor.stop();
  CHECK(wrong == 0);
  CHECK_FALSE(strand.running_here());
}

TEST_CASE("many strands together lose nothing and mix nothing up") {
  const int workers = GENERATE(1, 2, 8, 64);
  constexpr int kStrands = 50;
  constexpr int kHops = 2000;
  std::vector<int> counts(kStrands, 0);
  Countdown finished(kStrands);
  Executor executor({.workers = workers});
  std::vector<Strand> strands;
  for (int i = 0; i < kStrands; ++i) strands.emplace_back(executor);
  // Each job goes on to the next strand and counts there: the counts are guarded by the strands alone.
  std::function<void(int, int)> hop = [&](int at, int left) {
    ++counts[static_cast<std::size_t>(at)];
    if (left == 0) {
      finished.done();
      return;
    }
    const int to = (at + left) % kStrands;
    strands[static_cast<std::size_t>(to)].post([&hop, to, left] { hop(to, left - 1); });
  };
  for (int i = 0; i < kStrands; ++i) {
    strands[static_cast<std::size_t>(i)].post([&hop, i] { hop(i, kHops); });
  }
  REQUIRE(finished.wait());
  executor.stop();
  int total = 0;
  for (const int count : counts) total += count;
  CHECK(total == kStrands * (kHops + 1));
}

TEST_CASE("a strand that always has work lets other jobs run on a single worker") {
  std::atomic<bool> enough{false};
  Countdown other(1);
  Countdown ended(1);
  Executor executor({.workers = 1});
  const Strand strand(executor);
  std::function<void()> again = [&] {
    if (enough.load()) {
      ended.done();
    } else {
      strand.post([&again] { again(); });
    }
  };
  strand.post([&again] { again(); });
  executor.post([&other] { other.done(); });
  REQUIRE(other.wait());
  enough.store(true);
  REQUIRE(ended.wait());
}

TEST_CASE("jobs run though their strand was destroyed") {
  Countdown started(1);
  Countdown release(1);
  int ran = 0;
  Executor executor({.workers = 2});
  {
    std::optional<Strand> strand(executor);
    strand->post([&] {
      started.done();
      release.wait();
    });
    for (int i = 0; i < 100; ++i) strand->post([&ran] { ++ran; });
    const Strand copy = *strand;
    strand.reset();
    copy.post([&ran] { ++ran; });
    CHECK(&copy.executor() == &executor);
  }
  REQUIRE(started.wait());
  release.done();
  executor.stop();
  CHECK(ran == 101);
}

TEST_CASE("running_here is true only for the strand whose job it is") {
  bool here = false;
  bool other_here = true;
  bool outside = true;
  Countdown finished(2);
  Executor executor({.workers = 1});
  const Strand strand(executor);
  const Strand other(executor);
  strand.post([&] {
    here = strand.running_here();
    other_here = other.running_here();
    finished.done();
  });
  executor.post([&] {
    outside = strand.running_here();
    finished.done();
  });
  REQUIRE(finished.wait());
  CHECK(here);
  CHECK_FALSE(other_here);
  CHECK_FALSE(outside);
}

TEST_CASE("stop runs what a strand has accepted, ends one that posts itself, and the strand refuses then") {
  const int workers = GENERATE(1, 2, 8, 64);
  for (int round = 0; round < 20; ++round) {
    int ran = 0;
    std::atomic<int> accepted{0};
    Countdown under_way(1);
    Executor executor({.workers = workers});
    const Strand strand(executor);
    std::function<void()> again = [&] {
      ++ran;
      if (strand.post([&again] { again(); })) accepted.fetch_add(1);
    };
    if (strand.post([&again] { again(); })) accepted.fetch_add(1);
    std::thread poster([&] {
      for (int i = 0; strand.post([&ran] { ++ran; }); ++i) {
        accepted.fetch_add(1);
        if (i == 50) under_way.done();
      }
    });
    REQUIRE(under_way.wait());
    executor.stop();
    poster.join();
    CHECK(ran == accepted.load());
    const auto token = std::make_shared<int>(0);
    CHECK_FALSE(strand.post([token] {}));
    CHECK(token.use_count() == 1);
  }
}

}  // namespace
}  // namespace sloth
