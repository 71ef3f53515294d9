// Who an agent is: names, keys, links that take each other's place; and what the operator may ask and order.
#include <array>

#include "tests/unit/agent/master_fixture.h"

namespace sloth {
namespace {

TEST_CASE("a second agent of a name is refused while the first is connected, which is unharmed") {
  MasterFixture fixture;
  Peer first = fixture.agent("web-1");
  Peer second = fixture.connect(Role::kAgent);
  second.send(fixture.hello("web-1", {}, "key-2"));
  const auto rejected = second.expect_rejected();
  CHECK(rejected.permanent);
  CHECK(rejected.reason.find("an agent named web-1 with another key is connected from a-host (pid 4711)") ==
        0);
  Peer run = fixture.run();
  MasterFixture::running(run, first, MasterFixture::key("build"));
}

TEST_CASE("the same agent again takes the place of its older link") {
  MasterFixture fixture;
  Peer run = fixture.run();
  Peer first = fixture.agent("web-1");
  const AttemptKey key = MasterFixture::key("build");
  const std::string id = MasterFixture::running(run, first, key);
  Peer second = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
  first.expect_closed();
  second.send(SpoolPart{id, 0, "over the new one"});
  CHECK(second.expect<SpoolAck>().offset == 16);
  second.send(MasterFixture::result(id, AttemptState::kSucceeded, 16));
  CHECK(run.expect<AttemptResult>().state == AttemptState::kSucceeded);
}

TEST_CASE("a name goes to another key only when nothing of the old one lives") {
  MasterFixture fixture;
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  std::string id;
  {
    Peer first = fixture.agent("web-1");
    id = MasterFixture::running(run, first, key);
  }
  Peer second = fixture.connect(Role::kAgent);
  run.send(ListAgents{});
  while (run.expect<Agents>().agents.at(0).connected) run.send(ListAgents{});
  second.send(fixture.hello("web-1", {}, "key-2"));
  const auto rejected = second.expect_rejected();
  CHECK_FALSE(rejected.permanent);
  CHECK(rejected.reason.find("has attempts that have not ended") != std::string::npos);
  {
    Peer first = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
    first.send(MasterFixture::result(id, AttemptState::kSucceeded, 0));
    first.expect<ResultAck>();
  }
  run.send(ListAgents{});
  while (run.expect<Agents>().agents.at(0).connected) run.send(ListAgents{});
  fixture.agent("web-1", {}, "key-2");
}

TEST_CASE("a protocol that the master does not speak is refused with both versions named") {
  MasterFixture fixture;
  Peer agent = fixture.connect(Role::kAgent);
  auto hello = fixture.hello("web-1");
  hello.protocol = 7;
  hello.version = "9.9";
  agent.send(hello);
  const auto rejected = agent.expect_rejected();
  CHECK(rejected.permanent);
  CHECK(rejected.reason.find("protocol 1 (sloth 1.2.3), the agent protocol 7 (sloth 9.9)") !=
        std::string::npos);
  Peer run = fixture.connect(Role::kRun);
  run.send(RunHello{7, "9.9", "run-1"});
  CHECK(run.expect_rejected().permanent);
}

TEST_CASE("agents are known by name, with what they said, and for how long they are away") {
  MasterFixture fixture;
  Peer web = fixture.agent("web-1");
  { Peer db = fixture.agent("db-1"); }
  Peer run = fixture.run();
  run.send(ListAgents{});
  auto all = run.expect<Agents>();
  while (all.agents.at(0).connected) {
    run.send(ListAgents{});
    all = run.expect<Agents>();
  }
  REQUIRE(all.agents.size() == 2);
  CHECK(all.agents[0].name == "db-1");
  CHECK(all.agents[1].name == "web-1");
  CHECK(all.agents[1].connected);
  CHECK(all.agents[1].host == "a-host");
  CHECK(all.agents[1].pid == 4711);
  CHECK(all.agents[1].max_attempts == 4);
  CHECK(all.agents[0].last_seen_ms > 0);
  fixture.restart();
  Peer later = fixture.run();
  later.send(ListAgents{});
  all = later.expect<Agents>();
  REQUIRE(all.agents.size() == 2);
  CHECK_FALSE(all.agents[1].connected);
  CHECK(all.agents[1].version == "1.2.3");
}

TEST_CASE("an agent is drained by command") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  run.send(AgentCommand{AgentCommand::Kind::kDrain, "web-1"});
  CHECK(run.expect<CommandAnswer>().error.empty());
  agent.expect<DrainAgent>();
  run.send(AgentCommand{AgentCommand::Kind::kDrain, "web-2"});
  const auto unknown = run.expect<CommandAnswer>();
  CHECK(unknown.name == "web-2");
  CHECK(unknown.error.find("no agent is named web-2") == 0);
  CHECK(unknown.error.find("web-1") != std::string::npos);
}

TEST_CASE("only an agent that is away and has nothing alive is removed") {
  MasterFixture fixture;
  Peer run = fixture.run();
  {
    Peer agent = fixture.agent("web-1");
    run.send(AgentCommand{AgentCommand::Kind::kRemove, "web-1"});
    CHECK(run.expect<CommandAnswer>().error.find("is connected") != std::string::npos);
    const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
    agent.send(Goodbye{});
    agent.expect_closed();
    run.send(AgentCommand{AgentCommand::Kind::kRemove, "web-1"});
    CHECK(run.expect<CommandAnswer>().error.find("has attempts that have not ended") != std::string::npos);
    Peer again =
        fixture.agent("web-1", {MasterFixture::report(MasterFixture::key("build"), AttemptState::kRunning)});
    again.send(MasterFixture::result(id, AttemptState::kSucceeded, 0));
    again.expect<ResultAck>();
    again.send(Goodbye{});
    again.expect_closed();
  }
  run.send(AgentCommand{AgentCommand::Kind::kRemove, "web-1"});
  CHECK(run.expect<CommandAnswer>().error.empty());
  run.send(ListAgents{});
  CHECK(run.expect<Agents>().agents.empty());
  fixture.restart();
  Peer later = fixture.run();
  later.send(ListAgents{});
  CHECK(later.expect<Agents>().agents.empty());
}

TEST_CASE("agents go and come in any number, and what they were given stays theirs") {
  MasterFixture fixture;
  Peer run = fixture.run();
  std::vector<Peer> agents;
  constexpr int kAgents = 40;
  for (int i = 0; i < kAgents; ++i) {
    const std::string name = "agent-" + std::to_string(i);
    agents.push_back(fixture.agent(name));
    MasterFixture::running(run, agents.back(), MasterFixture::key("build", 1, name));
  }
  for (Peer& agent : agents) agent.wire().cut();
  std::vector<Peer> again;
  for (int i = 0; i < kAgents; ++i) {
    const AttemptKey key = MasterFixture::key("build", 1, "agent-" + std::to_string(i));
    again.push_back(fixture.agent(key.agent, {MasterFixture::report(key, AttemptState::kRunning)}));
    again.back().send(MasterFixture::result(attempt_id(key), AttemptState::kSucceeded, 0));
  }
  for (int i = 0; i < kAgents; ++i) CHECK(run.expect<AttemptResult>().state == AttemptState::kSucceeded);
}

}  // namespace
}  // namespace sloth
