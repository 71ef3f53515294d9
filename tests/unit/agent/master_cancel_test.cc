// Cancels against everything else that may happen to an attempt.
#include <random>

#include "agent/bundle.h"
#include "tests/unit/agent/master_fixture.h"

namespace sloth {
namespace {

TEST_CASE("a queued attempt is cancelled at once") {
  MasterFixture fixture;
  Peer run = fixture.run();
  const Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  run.send(submit);
  run.send(Subscribe{submit.attempt, 0});
  run.send(CancelAttempt{submit.attempt, "interrupted by Ctrl-C"});
  run.expect_state(submit.attempt, AttemptState::kCancelled);
  const auto outcome = decode_outcome(run.expect<AttemptResult>().outcome);
  REQUIRE(outcome);
  CHECK(outcome->kind == OutcomeKind::kCancelled);
  CHECK(outcome->message == "interrupted by Ctrl-C");
  // It is not offered to the agent that comes later.
  Peer agent = fixture.agent("web-1");
  run.settle();
  fixture.stop();
  CHECK(fixture.steps(submit.attempt) == std::vector<std::string>{"queued", "cancelled"});
  CHECK(agent.count<Offer>() == 0);
}

TEST_CASE("a running attempt is cancelled by its agent, and only then said to be") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  run.send(CancelAttempt{id, "why"});
  CHECK(agent.expect<CancelAttempt>().reason == "why");
  run.expect<AttemptStatus>([](const AttemptStatus& s) { return s.detail == "cancelling"; });
  // Again, and it is said again: the first may have been lost with a link.
  run.send(CancelAttempt{id, "why"});
  agent.expect<CancelAttempt>();
  run.settle();
  CHECK(run.count<AttemptResult>() == 0);
  agent.send(MasterFixture::result(id, AttemptState::kCancelled, 0));
  CHECK(run.expect<AttemptResult>().state == AttemptState::kCancelled);
}

TEST_CASE("a cancel for an agent that is away is kept until it is back, over a restart too") {
  MasterFixture fixture;
  const AttemptKey key = MasterFixture::key("build");
  std::string id;
  {
    Peer agent = fixture.agent("web-1");
    Peer run = fixture.run();
    id = MasterFixture::running(run, agent, key);
    agent.drop();
    run.send(ListAgents{});
    while (run.expect<Agents>().agents.at(0).connected) run.send(ListAgents{});
    run.send(CancelAttempt{id, "why"});
    const auto status = run.expect<AttemptStatus>(
        [](const AttemptStatus& s) { return s.detail.find("cancelling: agent web-1 is offline") == 0; });
    CHECK(status.state == AttemptState::kRunning);  // never cancelled early
  }
  fixture.restart();
  Peer agent = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
  CHECK(agent.expect<CancelAttempt>().attempt == id);
  agent.send(MasterFixture::result(id, AttemptState::kCancelled, 0));
  agent.expect<ResultAck>();
  Peer run = fixture.run();
  run.send(Subscribe{id, 0});
  CHECK(run.expect<AttemptResult>().state == AttemptState::kCancelled);
}

TEST_CASE("a cancelled offer that the agent's journal does not know is cancelled, not offered again") {
  MasterFixture fixture;
  Peer run = fixture.run();
  Peer first = fixture.agent("web-1");
  const Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  run.send(submit);
  run.send(Subscribe{submit.attempt, 0});
  first.expect<Offer>();
  run.send(CancelAttempt{submit.attempt, "why"});
  first.expect<CancelAttempt>();
  first.drop();
  Peer second = fixture.agent("web-1");
  CHECK(run.expect<AttemptResult>().state == AttemptState::kCancelled);
  CHECK(second.count<Offer>() == 0);
  // Should it have been on its way there all the same, it is stopped.
  second.send(OfferAnswer{submit.attempt, AttemptState::kRunning, "", false});
  CHECK(second.expect<CancelAttempt>().attempt == submit.attempt);
}

TEST_CASE("a refused offer that was cancelled meanwhile is cancelled") {
  MasterFixture fixture;
  Peer run = fixture.run();
  Peer agent = fixture.agent("web-1");
  const Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  run.send(submit);
  run.send(Subscribe{submit.attempt, 0});
  agent.expect<Offer>();
  run.send(CancelAttempt{submit.attempt, "why"});
  agent.expect<CancelAttempt>();
  agent.send(OfferAnswer{submit.attempt, AttemptState::kRefused, "full", true});
  CHECK(run.expect<AttemptResult>().state == AttemptState::kCancelled);
}

TEST_CASE("cancelling what has ended changes nothing and tells its end") {
  MasterFixture fixture;
  Peer run = fixture.run();
  Peer agent = fixture.agent("web-1");
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 0));
  run.expect<AttemptResult>();
  run.send(ResultAck{id});
  Peer other = fixture.run();
  other.send(CancelAttempt{id, "too late"});
  other.expect_state(id, AttemptState::kSucceeded);
  CHECK(agent.count<CancelAttempt>() == 0);
}

// F21. The agent's first end is its only one; every party must come to agree on it, whatever the order.
TEST_CASE("cancels race with results: exactly one end, the same for all") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::minstd_rand random(seed);
    const auto chance = [&](unsigned of) { return random() % of == 0; };
    const AttemptKey key = MasterFixture::key("task-" + std::to_string(seed));
    const std::string id = attempt_id(key);
    run.send(MasterFixture::submit(key));
    run.send(Subscribe{id, 0});
    const bool cancels = !chance(4);
    const bool early = cancels && chance(2);
    if (early) run.send(CancelAttempt{id, "early"});
    agent.expect<Offer>([&](const Offer& offer) { return offer.attempt == id; });
    if (chance(2)) agent.send(OfferAnswer{id, AttemptState::kAccepted, "", false});
    if (cancels && !early && chance(2)) run.send(CancelAttempt{id, "in the middle"});
    if (chance(2)) agent.send(AttemptStarted{id});
    const auto end = chance(2) ? AttemptState::kSucceeded : AttemptState::kCancelled;
    agent.send(SpoolPart{id, 0, "output"});
    agent.send(MasterFixture::result(id, end, 6));
    if (cancels && !early) run.send(CancelAttempt{id, "late"});
    if (chance(3)) agent.send(MasterFixture::result(id, end, 6));
    agent.expect<ResultAck>([&](const ResultAck& ack) { return ack.attempt == id; });
    const auto result = run.expect<AttemptResult>([&](const AttemptResult& r) { return r.attempt == id; });
    CHECK(result.state == end);
    run.send(SpoolAck{id, 6});
    run.send(ResultAck{id});
  }
  run.settle();
  fixture.stop();
  CHECK(fixture.number("SELECT count(*) FROM attempts WHERE ended_at_ms > 0") == 300);
  CHECK(fixture.number("SELECT count(*) FROM steps WHERE ends = 1") == 300);
  CHECK(fixture.number("SELECT count(*) FROM evidence") == 0);
}

}  // namespace
}  // namespace sloth
