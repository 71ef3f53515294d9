#include <algorithm>
#include <map>
#include <random>

#include "runner/task/plan.h"
#include "tests/unit/task/workflow_builder.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using Names = std::vector<std::string>;

Outcome ended(OutcomeKind kind) {
  Outcome outcome;
  outcome.kind = kind;
  return outcome;
}

Plan plan_of(const Declared& tasks) {
  auto plan = Plan::build(workflow_of(tasks), {});
  REQUIRE(plan);
  return std::move(*plan);
}

Names all_ready(Plan& plan) {
  Names names;
  while (auto task = plan.next_ready()) names.push_back(*task);
  return names;
}

// "b: skipped (a failed)" per entry.
Names texts(const std::vector<std::pair<std::string, Outcome>>& entries) {
  Names lines;
  for (const auto& [name, outcome] : entries) lines.push_back(name + ": " + outcome.message);
  return lines;
}

TEST_CASE("A task becomes ready when its last dependency succeeds") {
  Plan plan = plan_of({{"a", {}}, {"b", {"a"}}, {"c", {"a"}}, {"d", {"b", "c"}}});
  CHECK(all_ready(plan) == Names{"a"});
  CHECK(plan.finished("a", {}).empty());
  CHECK(all_ready(plan) == Names{"b", "c"});
  CHECK(plan.running() == 2);
  CHECK(plan.finished("c", {}).empty());
  CHECK(all_ready(plan).empty());
  CHECK(plan.finished("b", {}).empty());
  CHECK(all_ready(plan) == Names{"d"});
  CHECK_FALSE(plan.done());
  CHECK(plan.finished("d", {}).empty());
  CHECK(plan.done());
  CHECK(plan.outcomes().size() == 4);
}

TEST_CASE("An empty plan is done at once") {
  Plan plan = plan_of({});
  CHECK(plan.done());
  CHECK_FALSE(plan.next_ready());
}

TEST_CASE("What became ready later waits behind what was ready before, else the file decides") {
  Plan plan =
      plan_of({{"late", {"first"}}, {"first", {}}, {"second", {}}, {"third", {}}, {"later", {"first"}}});
  CHECK(plan.next_ready() == "first");
  plan.finished("first", {});
  CHECK(all_ready(plan) == Names{"second", "third", "late", "later"});
}

TEST_CASE("Dependents that become ready together come in the order of the file, not of the plan") {
  Plan plan = plan_of({{"x", {}}, {"r", {}}, {"q", {"x", "z"}}, {"p", {"x"}}, {"z", {"r"}}});
  CHECK(plan.order() == Names{"x", "r", "p", "z", "q"});
  CHECK(all_ready(plan) == Names{"x", "r"});
  plan.finished("r", {});
  CHECK(all_ready(plan) == Names{"z"});
  plan.finished("z", {});
  plan.finished("x", {});
  CHECK(all_ready(plan) == Names{"q", "p"});
}

TEST_CASE("All transitive dependents of a task that did not succeed are skipped and listed with the reason") {
  const std::vector<std::pair<OutcomeKind, std::string>> rows = {
      {OutcomeKind::kFailed, "skipped (build failed)"},
      {OutcomeKind::kTimedOut, "skipped (build timed out)"},
      {OutcomeKind::kCancelled, "skipped (build was cancelled)"},
      {OutcomeKind::kAborted, "skipped (build aborted)"},
      {OutcomeKind::kUnknown, "skipped (the outcome of build is unknown)"},
      {OutcomeKind::kSkipped, "skipped (depends on build, which was skipped)"},
  };
  for (const auto& [kind, reason] : rows) {
    INFO(outcome_name(kind));
    Plan plan = plan_of({{"release", {"deploy"}},
                         {"build", {}},
                         {"test", {"build"}},
                         {"deploy", {"test", "build"}},
                         {"docs", {}},
                         {"site", {"docs"}}});
    CHECK(all_ready(plan) == Names{"build", "docs"});
    const auto skipped = plan.finished("build", ended(kind));
    CHECK(texts(skipped) == Names{"test: " + reason, "deploy: " + reason, "release: " + reason});
    for (const auto& entry : skipped) CHECK(entry.second.kind == OutcomeKind::kSkipped);
    CHECK(plan.outcomes().at("release").message == reason);
    plan.finished("docs", {});
    CHECK(all_ready(plan) == Names{"site"});
    plan.finished("site", {});
    CHECK(plan.done());
  }
}

TEST_CASE("A dependent is listed once, with the first reason") {
  Plan plan = plan_of({{"a", {}}, {"b", {}}, {"c", {"a", "b"}}});
  all_ready(plan);
  CHECK(texts(plan.finished("b", ended(OutcomeKind::kFailed))) == Names{"c: skipped (b failed)"});
  CHECK(plan.finished("a", ended(OutcomeKind::kFailed)).empty());
  CHECK(plan.done());
}

TEST_CASE("Stop ends all that did not start and waits for what runs") {
  Plan plan = plan_of({{"a", {}}, {"b", {}}, {"c", {"a"}}, {"d", {"c"}}});
  CHECK(plan.next_ready() == "a");
  const auto stopped = plan.stop(OutcomeKind::kCancelled, "cancelled (Ctrl-C)");
  CHECK(texts(stopped) == Names{"b: cancelled (Ctrl-C)", "c: cancelled (Ctrl-C)", "d: cancelled (Ctrl-C)"});
  CHECK(stopped.front().second.kind == OutcomeKind::kCancelled);
  CHECK_FALSE(plan.next_ready());
  CHECK_FALSE(plan.done());
  CHECK(plan.stop(OutcomeKind::kCancelled, "again").empty());
  SECTION("a success makes nothing ready") { CHECK(plan.finished("a", {}).empty()); }
  SECTION("a failure skips nothing twice") { CHECK(plan.finished("a", ended(OutcomeKind::kFailed)).empty()); }
  CHECK_FALSE(plan.next_ready());
  CHECK(plan.done());
  CHECK(plan.outcomes().size() == 4);
}

// Random files, driven by random outcomes: whatever happens, each task ends exactly once, none starts before
// its dependencies succeeded, and the same decisions give the same history.
TEST_CASE("Any run of any plan ends each task once, in an allowed order, and the same way every time") {
  const auto run = [](unsigned seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
    Declared tasks;
    const std::size_t count = 1 + below(30);
    for (std::size_t i = 0; i < count; ++i) {
      Names dependencies;
      for (std::size_t j = 0; j < i; ++j) {
        if (below(6) == 0) dependencies.push_back("t" + std::to_string(j));
      }
      tasks.push_back({"t" + std::to_string(i), dependencies});
    }
    const Workflow workflow = workflow_of(tasks);
    std::shuffle(tasks.begin(), tasks.end(), random);
    auto plan = Plan::build(workflow_of(tasks), {});
    REQUIRE(plan);

    Names history, running;
    std::map<std::string, int> ends;
    while (!plan->done()) {
      const auto started = running.size() < 3 ? plan->next_ready() : std::nullopt;
      if (started) {
        for (const std::string& dependency : workflow.find(*started)->depends_on) {
          CHECK(plan->outcomes().at(dependency).succeeded());
        }
        history.push_back("start " + *started);
        running.push_back(*started);
        continue;
      }
      REQUIRE_FALSE(running.empty());
      const auto at = running.begin() + static_cast<std::ptrdiff_t>(below(running.size()));
      const std::string name = *at;
      running.erase(at);
      ++ends[name];
      const auto kind = below(8) == 0 ? OutcomeKind::kFailed : OutcomeKind::kSucceeded;
      history.push_back("end " + name);
      for (const auto& skipped : plan->finished(name, ended(kind))) {
        ++ends[skipped.first];
        history.push_back("skip " + skipped.first);
      }
    }
    CHECK(ends.size() == count);
    for (const auto& end : ends) CHECK(end.second == 1);
    CHECK(plan->outcomes().size() == count);
    return history;
  };
  for (unsigned seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    CHECK(run(seed) == run(seed));
  }
}

}  // namespace
}  // namespace sloth
