#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "runner/exec/executor.h"
#include "runner/exec/gate.h"
#include "tests/unit/exec/countdown.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using test::Countdown;

TEST_CASE("a closed gate lets nobody in") {
  Gate gate;
  CHECK(gate.enter().has_value());
  gate.close();
  CHECK_FALSE(gate.enter().has_value());
  gate.close();
}

TEST_CASE("closing a gate waits until the passes that moved into jobs are given back") {
  const int workers = GENERATE(1, 2, 8, 64);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> entered{0};
    std::atomic<int> left{0};
    std::atomic<bool> closed{false};
    std::atomic<int> late{0};
    Executor executor({.workers = workers});
    auto gate = std::make_unique<Gate>();
    Countdown some(1);
    std::thread poster([&] {
      for (int i = 0;; ++i) {
        auto pass = gate->enter();
        if (!pass) break;
        entered.fetch_add(1);
        executor.post([&, held = std::move(*pass)] {
          if (closed.load()) late.fetch_add(1);
          left.fetch_add(1);
        });
        if (i == 20) some.done();
      }
    });
    REQUIRE(some.wait());
    gate->close();
    closed.store(true);
    CHECK(left.load() == entered.load());
    poster.join();
    gate.reset();
    CHECK(late.load() == 0);
  }
}

TEST_CASE("a gate may be destroyed as soon as close returns") {
  for (int round = 0; round < 500; ++round) {
    auto gate = std::make_unique<Gate>();
    std::optional<Gate::Pass> pass = gate->enter();
    REQUIRE(pass.has_value());
    std::thread worker([held = std::move(*pass)]() mutable { const Gate::Pass mine(std::move(held)); });
    pass.reset();
    gate->close();
    gate.reset();
    worker.join();
  }
}

}  // namespace
}  // namespace sloth
