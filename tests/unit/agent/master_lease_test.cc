// Silence: unknown after the lease, lost much later, and what comes after that.
#include "agent/bundle.h"
#include "tests/unit/agent/master_fixture.h"

namespace sloth {
namespace {

using std::chrono::milliseconds;

Master::Options short_lease() {
  Master::Options options;
  options.lease = milliseconds(150);
  options.heartbeat = milliseconds(50);
  options.reconcile = milliseconds(150);
  return options;
}

Submit lost_after(const AttemptKey& key, std::int64_t ms) {
  Submit submit = MasterFixture::submit(key);
  submit.lost_ms = ms;
  return submit;
}

TEST_CASE("an agent is asked for its heartbeats") {
  MasterFixture fixture(short_lease());
  Peer agent = fixture.connect(Role::kAgent);
  agent.send(fixture.hello("web-1"));
  const auto welcome = agent.expect<AgentWelcome>();
  CHECK(welcome.lease_ms == 150);
  CHECK(welcome.heartbeat_ms == 50);
}

TEST_CASE("the attempts of a silent agent are unknown, and running again when it is back") {
  MasterFixture fixture(short_lease());
  Peer run = fixture.run();
  Peer agent = fixture.agent("web-1");
  const AttemptKey key = MasterFixture::key("build");
  const std::string id = MasterFixture::running(run, agent, key);
  const auto status = run.expect_state(id, AttemptState::kUnknown);
  CHECK(status.detail.find("agent web-1 is offline") == 0);
  agent.expect_closed();  // half open, for all that is known
  run.send(ListAttempts{"run-1"});
  CHECK(run.expect<RunAttempts>().attempts.at(0).state == AttemptState::kUnknown);
  Peer back = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
  run.expect_state(id, AttemptState::kRunning);
  back.send(MasterFixture::result(id, AttemptState::kSucceeded, 0));
  CHECK(run.expect<AttemptResult>().state == AttemptState::kSucceeded);
}

TEST_CASE("an agent whose link broke is unknown when the lease is over, not before") {
  MasterFixture fixture(short_lease());
  Peer run = fixture.run();
  Peer agent = fixture.agent("web-1");
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  const auto cut = std::chrono::steady_clock::now();
  agent.send(Heartbeat{});
  agent.drop();
  run.expect_state(id, AttemptState::kUnknown);
  CHECK(std::chrono::steady_clock::now() - cut >= milliseconds(100));
}

TEST_CASE("unknown for too long is lost, a late result is evidence and changes nothing") {
  MasterFixture fixture(short_lease());
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  const std::string id = attempt_id(key);
  {
    Peer agent = fixture.agent("web-1");
    run.send(lost_after(key, 50));
    run.send(Subscribe{id, 0});
    agent.expect<Offer>();
    agent.send(OfferAnswer{id, AttemptState::kRunning, "", false});
    agent.send(SpoolPart{id, 0, "before"});
    agent.expect<SpoolAck>();
  }
  const auto result = run.expect<AttemptResult>();
  CHECK(result.state == AttemptState::kLost);
  CHECK(result.spool_end == 6);
  const auto outcome = decode_outcome(result.outcome);
  REQUIRE(outcome);
  CHECK(outcome->kind == OutcomeKind::kUnknown);
  CHECK(outcome->message.find("agent web-1 has not been heard of for ") == 0);
  CHECK(outcome->message.find("the outcome is unknown") != std::string::npos);
  // It comes home all the same, its output first.
  Peer back = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
  back.send(MasterFixture::result(id, AttemptState::kSucceeded, 12, "a late outcome"));
  back.send(SpoolPart{id, 6, " after"});
  CHECK(back.expect<SpoolAck>().offset == 12);
  back.expect<ResultAck>();
  CHECK(back.count<CancelAttempt>() == 0);
  // Once more, as if the acknowledgement had been lost.
  back.send(MasterFixture::result(id, AttemptState::kSucceeded, 12, "a late outcome"));
  back.expect<ResultAck>();
  Peer other = fixture.run();
  other.send(Subscribe{id, 0});
  CHECK(other.expect<SpoolPart>().bytes == "before");
  CHECK(other.expect<AttemptResult>().state == AttemptState::kLost);
  fixture.stop();
  CHECK(fixture.spool(id) == "before after");
  CHECK(fixture.number("SELECT count(*) FROM evidence WHERE state = 'succeeded' AND spool_end = 12") == 1);
  CHECK(fixture.steps(id) == std::vector<std::string>{"offered", "running", "lost"});
}

TEST_CASE("an attempt that was lost and has a successor is told to stop when its agent is back") {
  MasterFixture fixture(short_lease());
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build", 1);
  const std::string id = attempt_id(key);
  {
    Peer agent = fixture.agent("web-1");
    run.send(lost_after(key, 0));
    run.send(Subscribe{id, 0});
    agent.expect<Offer>();
    agent.send(OfferAnswer{id, AttemptState::kRunning, "", false});
  }
  CHECK(run.expect<AttemptResult>().state == AttemptState::kLost);
  const AttemptKey second = MasterFixture::key("build", 2);
  run.send(MasterFixture::submit(second));
  run.expect_state(attempt_id(second), AttemptState::kQueued);
  Peer back = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
  CHECK(back.expect<CancelAttempt>().attempt == id);
  CHECK(back.expect<Offer>().attempt == attempt_id(second));
}

TEST_CASE("an offer whose agent never answers is lost in the end") {
  MasterFixture fixture(short_lease());
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  {
    Peer agent = fixture.agent("web-1");
    run.send(lost_after(key, 50));
    run.send(Subscribe{attempt_id(key), 0});
    agent.expect<Offer>();
  }
  run.expect_state(attempt_id(key), AttemptState::kUnknown);
  CHECK(run.expect<AttemptResult>().state == AttemptState::kLost);
}

TEST_CASE("heartbeats keep the lease, whatever else is silent") {
  MasterFixture fixture(short_lease());
  Peer run = fixture.run();
  Peer agent = fixture.agent("web-1");
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  // Each beat is a little later than the last answer of the master: three leases long.
  const auto until = std::chrono::steady_clock::now() + milliseconds(450);
  while (std::chrono::steady_clock::now() < until) {
    agent.send(Heartbeat{false, 1});
    run.settle();
  }
  CHECK(run.count<AttemptStatus>([](const AttemptStatus& s) { return s.state == AttemptState::kUnknown; }) ==
        0);
  CHECK(agent.count<Rejected>() == 0);
}

TEST_CASE("after a restart nothing is lost before the agents had time to come back") {
  Master::Options options = short_lease();
  options.reconcile = milliseconds(600);
  MasterFixture fixture(options);
  const AttemptKey key = MasterFixture::key("build");
  const std::string id = attempt_id(key);
  {
    Peer run = fixture.run();
    Peer agent = fixture.agent("web-1");
    run.send(lost_after(key, 0));
    agent.expect<Offer>();
    agent.send(OfferAnswer{id, AttemptState::kRunning, "", false});
    run.send(Subscribe{id, 0});
    run.expect_state(id, AttemptState::kRunning);
  }
  const auto start = std::chrono::steady_clock::now();
  fixture.restart();
  Peer run = fixture.run();
  run.send(Subscribe{id, 0});
  run.expect_state(id, AttemptState::kUnknown);
  CHECK(run.expect<AttemptResult>().state == AttemptState::kLost);
  CHECK(std::chrono::steady_clock::now() - start >= milliseconds(600));
}

}  // namespace
}  // namespace sloth
