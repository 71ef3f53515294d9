#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"
#include "tests/unit/exec/countdown.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using test::Countdown;
using test::spin;
using test::eventually;

std::multiset<std::string> thread_names() {
  std::multiset<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream in(task.path() / "comm");
    std::string name;
    if (std::getline(in, name) && name.starts_with("sloth-")) names.insert(name);
  }
  return names;
}

TEST_CASE("every job posted from several threads runs exactly once") {
  const int workers = GENERATE(1, 2, 8, 64);
  constexpr int kPosters = 4;
  constexpr int kJobs = 5000;
  std::vector<std::atomic<int>> runs(kPosters * kJobs);
  Countdown finished(kPosters * kJobs);
  Executor executor({.workers = workers});
  std::vector<std::thread> posters;
  for (int p = 0; p < kPosters; ++p) {
    posters.emplace_back([&, p] {
      for (int i = 0; i < kJobs; ++i) {
        std::atomic<int>& mine = runs[static_cast<std::size_t>(p * kJobs + i)];
        const bool fair = i % 3 == 0;
        auto job = [&mine, &finished] {
          mine.fetch_add(1);
          finished.done();
        };
        if (!(fair ? executor.post_fair(job) : executor.post(job))) std::abort();
      }
    });
  }
  for (std::thread& poster : posters) poster.join();
  REQUIRE(finished.wait());
  executor.stop();
  for (const auto& count : runs) REQUIRE(count.load() == 1);
  CHECK(executor.stats().posted == kPosters * kJobs);
  CHECK(executor.stats().executed == kPosters * kJobs);
  CHECK(executor.stats().workers_started <= workers);
}

TEST_CASE("jobs may post jobs, and the whole tree runs") {
  const int workers = GENERATE(1, 2, 8, 64);
  constexpr int kDepth = 14;
  Countdown finished(1 << kDepth);
  Executor executor({.workers = workers});
  std::function<void(int)> split = [&](int depth) {
    if (depth == kDepth) {
      finished.done();
      return;
    }
    for (int i = 0; i < 2; ++i) executor.post([&split, depth] { split(depth + 1); });
  };
  executor.post([&split] { split(0); });
  REQUIRE(finished.wait());
  executor.stop();
  CHECK(executor.stats().executed == (2u << kDepth) - 1);
}

TEST_CASE("jobs that move larger things are destroyed after they ran") {
  const int workers = GENERATE(1, 2, 8, 64);
  constexpr int kJobs = 2000;
  const auto token = std::make_shared<int>(0);
  {
    Countdown finished(kJobs);
    Executor executor({.workers = workers});
    for (int i = 0; i < kJobs; ++i) {
      executor.post([token, &finished, padding = std::array<char, 100>()] {
        (void)padding;
        finished.done();
      });
    }
    REQUIRE(finished.wait());
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("one worker runs fair jobs in the order of their posting") {
  constexpr int kJobs = 500;
  std::vector<int> order;
  Countdown finished(kJobs + 1);
  Executor executor({.workers = 1});
  executor.post([&] {
    for (int i = 0; i < kJobs; ++i) {
      executor.post_fair([&order, &finished, i] {
        order.push_back(i);
        finished.done();
      });
    }
    finished.done();
  });
  REQUIRE(finished.wait());
  for (int i = 0; i < kJobs; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("a worker runs the newest of its own jobs first") {
  std::vector<int> order;
  Countdown finished(3);
  Executor executor({.workers = 1});
  executor.post([&] {
    for (int i = 0; i < 3; ++i) {
      executor.post([&order, &finished, i] {
        order.push_back(i);
        finished.done();
      });
    }
  });
  REQUIRE(finished.wait());
  CHECK(order == std::vector<int>{2, 1, 0});
}

TEST_CASE("a job that posts itself again starves neither the injector nor its own deque") {
  std::atomic<bool> enough{false};
  Countdown others(2);
  Countdown ended(1);
  Executor executor({.workers = 1});
  std::function<void()> again = [&] {
    if (enough.load()) {
      ended.done();
    } else {
      executor.post([&again] { again(); });
    }
  };
  executor.post([&] {
    executor.post([&others] { others.done(); });  // lies below all that follow
    again();
  });
  executor.post([&others] { others.done(); });
  REQUIRE(others.wait());
  enough.store(true);
  REQUIRE(ended.wait());
}

TEST_CASE("a long job does not keep the others waiting") {
  const int workers = GENERATE(2, 8, 64);
  Countdown release(1);
  Countdown others(1000);
  Countdown long_one(1);
  Executor executor({.workers = workers});
  executor.post([&] {
    // Posted to the deque of a worker that will not come back to it: they must be stolen.
    for (int i = 0; i < 1000; ++i) executor.post([&others] { others.done(); });
    release.wait();
    long_one.done();
  });
  REQUIRE(others.wait());
  release.done();
  REQUIRE(long_one.wait());
  executor.stop();
  CHECK(executor.stats().steals > 0);
}

TEST_CASE("all workers run at once when there is work for all") {
  const int workers = GENERATE(1, 2, 8, 64);
  Countdown arrived(workers);
  Executor executor({.workers = workers});
  for (int i = 0; i < workers; ++i) {
    executor.post([&arrived] {
      arrived.done();
      arrived.wait();  // returns only when every worker is inside such a job
    });
  }
  REQUIRE(arrived.wait());
  CHECK(executor.stats().workers_started == workers);
}

TEST_CASE("threads start only when needed, and carry their names") {
  REQUIRE(eventually([] { return thread_names().empty(); }));  // those of the test before this one
  Executor executor({.workers = 2});
  Countdown finished(2);
  executor.post([&finished] { finished.done(); });
  executor.reactor().post([&finished] { finished.done(); });
  REQUIRE(finished.wait());
  CHECK(thread_names() == std::multiset<std::string>{"sloth-cpu-0", "sloth-io"});
  Countdown blocked(1);
  executor.post_blocking([&blocked] { blocked.done(); });
  REQUIRE(blocked.wait());
  CHECK(thread_names() == std::multiset<std::string>{"sloth-block-1", "sloth-cpu-0", "sloth-io"});
  executor.stop();
  // The kernel lists a joined thread for a moment more.
  CHECK(eventually([] { return thread_names().empty(); }));
}

// Hand-overs between sleepers: each wake-up that got lost would hang the run.
TEST_CASE("no wake-up is lost between a poster outside and workers that fall asleep") {
  const int workers = GENERATE(1, 2, 8, 64);
  Executor executor({.workers = workers});
  for (int round = 0; round < 3000; ++round) {
    Countdown finished(1);
    executor.post([&finished] { finished.done(); });
    REQUIRE(finished.wait());
    // Now and then long enough for everybody to lie down, or to be just about to.
    spin(std::chrono::microseconds(round % 64));
  }
}

TEST_CASE("no wake-up is lost between workers that hand a few jobs around") {
  const int workers = GENERATE(1, 2, 8, 64);
  const int tokens = GENERATE(1, 3);
  constexpr int kHops = 20000;
  Countdown finished(tokens);
  std::vector<std::function<void(int)>> hops(static_cast<std::size_t>(tokens));
  Executor executor({.workers = workers});
  for (auto& hop : hops) {
    hop = [&](int left) {
      if (left == 0) {
        finished.done();
        return;
      }
      auto job = [&hop, left] { hop(left - 1); };
      if (left % 2 == 0) {
        executor.post_fair(job);
      } else {
        executor.post(job);
      }
    };
    executor.post([&hop] { hop(kHops); });
  }
  REQUIRE(finished.wait());
}

TEST_CASE("stop runs what was accepted and refuses the rest, while posters and jobs go on posting") {
  const int workers = GENERATE(1, 2, 8, 64);
  for (int round = 0; round < 10; ++round) {
    std::atomic<int> accepted{0};
    std::atomic<int> ran{0};
    Executor executor({.workers = workers});
    std::function<void()> again = [&] {
      ran.fetch_add(1);
      for (int i = 0; i < 2; ++i) {
        if (accepted.load() < 200000 && executor.post([&again] { again(); })) accepted.fetch_add(1);
      }
    };
    Countdown under_way(2);
    std::vector<std::thread> posters;
    for (int p = 0; p < 2; ++p) {
      posters.emplace_back([&] {
        for (int i = 0;; ++i) {
          if (!executor.post([&again] { again(); })) break;
          accepted.fetch_add(1);
          if (i == 20) under_way.done();
        }
      });
    }
    REQUIRE(under_way.wait());
    std::thread stopper([&] { executor.stop(); });
    executor.stop();
    stopper.join();
    for (std::thread& poster : posters) poster.join();
    CHECK(ran.load() == accepted.load());
    CHECK_FALSE(executor.post([] {}));
    CHECK_FALSE(executor.post_fair([] {}));
    CHECK_FALSE(executor.post_blocking([] {}));
    CHECK(executor.run_at(std::chrono::steady_clock::now(), [] {}) == 0);
    CHECK(executor.run_at(std::chrono::steady_clock::now() + std::chrono::hours(1), [] {}) == 0);
    CHECK_FALSE(executor.reactor().post([] {}));
  }
}

TEST_CASE("an executor that was never used stops, again and again") {
  Executor executor({});
  executor.stop();
  executor.stop();
  CHECK(executor.stats().workers_started == 0);
}

TEST_CASE("a job is destroyed unrun when it is refused") {
  Executor executor({.workers = 1});
  executor.stop();
  const auto token = std::make_shared<int>(0);
  CHECK_FALSE(executor.post([token] {}));
  CHECK_FALSE(executor.post_fair([token] {}));
  CHECK_FALSE(executor.post_blocking([token] {}));
  CHECK_FALSE(executor.reactor().post([token] {}));
  CHECK(token.use_count() == 1);
}

}  // namespace
}  // namespace sloth
