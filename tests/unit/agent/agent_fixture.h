// AgentFixture: an Agent in a directory of its own, with attempts and a master that the test plays.
//
// Not shared: one thread at a time. crash() and start() again is an agent that was killed and started over:
// what its process held is gone, the attempts and the directory are not.
#pragma once

#include <stdlib.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "agent/agent.h"
#include "agent/bundle.h"
#include "agent/digest.h"
#include "runner/base/clock.h"
#include "runner/exec/executor.h"
#include "tests/support/fake_attempt_host.h"
#include "tests/unit/agent/hand_master.h"

namespace sloth {

// The real clock, which a test can put forward.
class ForwardClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return real_.now() + Duration(ahead_.load()); }
  [[nodiscard]] std::int64_t wall_ms() const override { return real_.wall_ms(); }
  void forward(Duration by) { ahead_ += by.count(); }

 private:
  SystemClock real_;
  std::atomic<Duration::rep> ahead_{0};
};

class AgentFixture {
 public:
  AgentFixture() {
    std::string name = (std::filesystem::temp_directory_path() / "sloth_agent_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    options.name = "web-1";
    options.directory = name + "/state";
    options.version = "1.0";
    options.host = "here";
    options.policy.max_attempts = 4;
    options.redial_first = std::chrono::milliseconds(1);
    options.redial_most = std::chrono::milliseconds(20);
  }
  ~AgentFixture() {
    agent.reset();
    executor.stop();
    std::error_code ignored;
    std::filesystem::remove_all(std::filesystem::path(options.directory).parent_path(), ignored);
  }
  AgentFixture(const AgentFixture&) = delete;
  AgentFixture& operator=(const AgentFixture&) = delete;

  // Opens it, and waits for its hello.
  AgentHello start() {
    open();
    return master.wait<AgentHello>();
  }
  void open() {
    auto opened = Agent::open(options, {executor, clock, master, host});
    if (!opened) throw std::runtime_error(opened.error().message);
    agent = std::move(*opened);
    agent->start();
  }
  void crash() { agent.reset(); }

  [[nodiscard]] AttemptKey key(const std::string& task, int number = 1) const {
    return {"run-1", task, options.name, number};
  }
  [[nodiscard]] Bundle bundle(const std::string& task, const BundleExtras& extras,
                              const std::string& large = "") const {
    auto spec = std::make_shared<TaskSpec>();
    spec->name = task;
    spec->command = ShellCommand{"true"};
    TaskRequest request;
    request.spec = std::move(spec);
    request.run = "run-1";
    request.workdir = "/";
    if (!large.empty()) request.params[MapKey(std::string("large"))] = large;
    return encode_bundle(request, extras);
  }
  [[nodiscard]] Offer offer(const AttemptKey& key, const std::string& user = "") const {
    const Bundle made = bundle(key.task, {user, key.agent});
    return {attempt_id(key), key, made.digest, made.request};
  }
  // Offers it and waits until it was accepted. Its id.
  std::string accept(const std::string& task, int number = 1) {
    const Offer sent = offer(key(task, number));
    master.send(sent);
    const auto answer = master.wait_of<OfferAnswer>(sent.attempt);
    CHECK(answer.state == AttemptState::kAccepted);
    return sent.attempt;
  }
  // The same, and waits until it runs.
  std::string run(const std::string& task, int number = 1) {
    std::string id = accept(task, number);
    master.wait_of<AttemptStarted>(id);
    return id;
  }
  void drain_to_the_end() {
    std::promise<void> drained;
    agent->drain([&] { drained.set_value(); });
    REQUIRE(drained.get_future().wait_for(kMasterPatience) == std::future_status::ready);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return options.directory + "/" + name; }

  Agent::Options options;
  Executor executor{{.workers = 2}};
  ForwardClock clock;
  FakeAttemptHost host;
  HandMaster master{executor};
  std::unique_ptr<Agent> agent;
};

// True once `holds`, false after a minute: for what shows only in files.
template <class Holds>
bool becomes(Holds holds) {
  const auto until = std::chrono::steady_clock::now() + kMasterPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace sloth
