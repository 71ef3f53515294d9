// One attempt from submit to result, and what may come between.
#include "agent/master.h"

#include "agent/bundle.h"
#include "agent/content_store.h"
#include "runner/os/file_tree.h"
#include "tests/unit/agent/master_fixture.h"

namespace sloth {
namespace {

Outcome outcome_of(const AttemptResult& result) {
  auto outcome = decode_outcome(result.outcome);
  REQUIRE(outcome);
  return *outcome;
}

TEST_CASE("an attempt is offered, runs, and its output and result come to the run") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  const std::string id = attempt_id(key);
  run.send(MasterFixture::submit(key));
  run.send(Subscribe{id, 0});
  const auto offer = agent.expect<Offer>();
  CHECK(offer.attempt == id);
  CHECK(offer.key == key);
  CHECK(offer.request == "a request");
  CHECK(offer.digest == sha256("a request"));
  run.expect_state(id, AttemptState::kOffered);
  agent.send(OfferAnswer{id, AttemptState::kAccepted, "", false});
  run.expect_state(id, AttemptState::kAccepted);
  agent.send(AttemptStarted{id});
  run.expect_state(id, AttemptState::kRunning);
  agent.send(SpoolPart{id, 0, "hello "});
  CHECK(agent.expect<SpoolAck>().offset == 6);
  CHECK(fixture.spool(id) == "hello ");  // acknowledged, so on the disk
  CHECK(run.expect<SpoolPart>().bytes == "hello ");
  agent.send(SpoolPart{id, 6, "world"});
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 11));
  agent.expect<ResultAck>();
  const auto rest = run.expect<SpoolPart>();
  CHECK(rest.offset == 6);
  CHECK(rest.bytes == "world");
  const auto result = run.expect<AttemptResult>();
  CHECK(result.state == AttemptState::kSucceeded);
  CHECK(result.outcome == "an outcome");
  CHECK(result.spool_end == 11);
  run.send(ResultAck{id});
  run.settle();
  fixture.stop();
  CHECK(fixture.steps(id) == std::vector<std::string>{"offered", "accepted", "running", "succeeded"});
}

TEST_CASE("the same submit again is the same attempt, another bundle with its id is refused") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  const std::string id = MasterFixture::running(run, agent, key);
  run.send(MasterFixture::submit(key));
  CHECK(run.expect_state(id, AttemptState::kRunning).attempt == id);
  Peer other = fixture.run();
  other.send(MasterFixture::submit(key, "another request"));
  other.send(Subscribe{id, 0});
  const auto status = other.expect<AttemptStatus>();
  CHECK(status.state == AttemptState::kRefused);
  CHECK(status.detail.find("another bundle with the same id") != std::string::npos);
  const auto result = other.expect<AttemptResult>();
  CHECK(result.state == AttemptState::kRefused);
  CHECK(outcome_of(result).kind == OutcomeKind::kRefused);
  // It changed nothing for the first.
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 0));
  run.expect<AttemptResult>();
  other.settle();
  CHECK(other.count<AttemptResult>() == 0);
  // After the end, too.
  run.send(MasterFixture::submit(key));
  run.expect_state(id, AttemptState::kSucceeded);
  CHECK(agent.count<Offer>() == 0);
}

TEST_CASE("an attempt waits for its agent and is offered when that one comes") {
  MasterFixture fixture;
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  const std::string id = attempt_id(key);
  run.send(MasterFixture::submit(key));
  run.send(Subscribe{id, 0});
  CHECK(run.expect_state(id, AttemptState::kQueued).detail == "agent web-1 is not known here");
  Peer agent = fixture.agent("web-1");
  CHECK(agent.expect<Offer>().attempt == id);
  run.expect_state(id, AttemptState::kOffered);
}

TEST_CASE("queued attempts are offered in order of submission, a bounded number at once") {
  MasterFixture fixture;
  Peer run = fixture.run();
  constexpr int kAttempts = 100;
  std::vector<std::string> ids;
  for (int i = 0; i < kAttempts; ++i) {
    const AttemptKey key = MasterFixture::key("task-" + std::to_string(i));
    ids.push_back(attempt_id(key));
    run.send(MasterFixture::submit(key));
    run.expect_state(ids.back(), AttemptState::kQueued);
  }
  Peer agent = fixture.agent("web-1");
  for (int i = 0; i < kAttempts; ++i) {
    if (i == 64) CHECK(agent.count<Offer>() == 0);
    const auto offer = agent.expect<Offer>();
    CHECK(offer.attempt == ids[static_cast<std::size_t>(i)]);
    if (i == 63) run.settle();
    if (i >= 63) {
      agent.send(OfferAnswer{ids[static_cast<std::size_t>(i - 63)], AttemptState::kAccepted, "", false});
    }
  }
}

TEST_CASE("an attempt that waits too long for an absent agent is refused as unreachable") {
  MasterFixture fixture;
  { Peer agent = fixture.agent("web-1"); }
  Peer run = fixture.run();
  Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  submit.queue_ms = 50;
  run.send(submit);
  run.send(Subscribe{submit.attempt, 0});
  const auto status = run.expect_state(submit.attempt, AttemptState::kRefused);
  CHECK(status.detail.find("agent web-1 is offline (last seen ") == 0);
  const Outcome outcome = outcome_of(run.expect<AttemptResult>());
  CHECK(outcome.kind == OutcomeKind::kUnreachable);
  CHECK(outcome.message.find("waited 50ms") != std::string::npos);
}

TEST_CASE("a refusal for good ends the attempt, one for now puts it back into the queue") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const Submit never = MasterFixture::submit(MasterFixture::key("never"));
  run.send(never);
  run.send(Subscribe{never.attempt, 0});
  agent.expect<Offer>();
  agent.send(OfferAnswer{never.attempt, AttemptState::kRefused, "user #0 is no name", false});
  const auto refused = run.expect<AttemptResult>();
  CHECK(refused.state == AttemptState::kRefused);
  CHECK(outcome_of(refused).kind == OutcomeKind::kRefused);
  CHECK(outcome_of(refused).message == "agent web-1 refused: user #0 is no name");
  const Submit later = MasterFixture::submit(MasterFixture::key("later"));
  run.send(later);
  run.send(Subscribe{later.attempt, 0});
  agent.expect<Offer>();
  agent.send(OfferAnswer{later.attempt, AttemptState::kRefused, "no space on /work", true});
  CHECK(run.expect<AttemptStatus>([&](const AttemptStatus& status) {
             return status.attempt == later.attempt && status.state == AttemptState::kQueued;
           })
            .detail == "agent web-1 refused: no space on /work");
  // By itself, after a pause.
  CHECK(agent.expect<Offer>().attempt == later.attempt);
  agent.send(OfferAnswer{later.attempt, AttemptState::kAccepted, "", false});
  run.expect_state(later.attempt, AttemptState::kAccepted);
  run.settle();
  fixture.stop();
  CHECK(fixture.steps(later.attempt) == std::vector<std::string>{"offered", "queued", "offered", "accepted"});
}

TEST_CASE("a draining agent gets no offers until it says that it takes some again") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  agent.send(Heartbeat{true, 0});
  Peer run = fixture.run();
  const Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  run.send(ListAgents{});
  while (!run.expect<Agents>().agents.at(0).draining) run.send(ListAgents{});
  run.send(submit);
  run.send(Subscribe{submit.attempt, 0});
  CHECK(run.expect_state(submit.attempt, AttemptState::kQueued).detail == "agent web-1 is draining");
  run.settle();
  CHECK(agent.count<Offer>() == 0);
  agent.send(Heartbeat{false, 0});
  CHECK(agent.expect<Offer>().attempt == submit.attempt);
}

TEST_CASE("contents that the master lacks are asked of the run, and given to the agent") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string small = "print(1)";
  const std::string large(std::size_t{1} << 20, 'x');
  Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  submit.blobs = {sha256(small), sha256(large), sha256(small)};
  run.send(submit);
  run.send(Subscribe{submit.attempt, 0});
  auto wanted = run.expect<ContentWanted>();
  CHECK(wanted.digests == std::vector<std::string>{sha256(small), sha256(large)});
  CHECK(agent.count<Offer>() == 0);
  for (ContentPart& part : content_parts(sha256(large), large)) run.send(std::move(part));
  for (ContentPart& part : content_parts(sha256(small), small)) run.send(std::move(part));
  agent.expect<Offer>();
  agent.send(ContentWanted{{sha256(large), sha256(small)}});
  ContentAssembly assembly;
  std::vector<std::string> got;
  while (got.size() < 2) {
    auto part = agent.expect<ContentPart>();
    CHECK(part.bytes.size() <= std::size_t{256} << 10);
    auto whole = assembly.add(std::move(part));
    REQUIRE(whole);
    if (*whole) got.push_back((*whole)->bytes);
  }
  CHECK(got == std::vector<std::string>{large, small});
  // Known by now.
  Submit second = MasterFixture::submit(MasterFixture::key("again"));
  second.blobs = submit.blobs;
  run.send(second);
  CHECK(agent.expect<Offer>().attempt == second.attempt);
  CHECK(run.count<ContentWanted>() == 0);
}

TEST_CASE("content that was damaged at the master is fetched again from the run") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string text = "print(1)";
  Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  submit.blobs = {sha256(text)};
  run.send(submit);
  run.expect<ContentWanted>();
  run.send(ContentPart{sha256(text), 0, text, true});
  agent.expect<Offer>();
  REQUIRE(write_file(fixture.directory() + "/content/" + sha256(text), "damaged"));
  agent.send(ContentWanted{{sha256(text)}});
  CHECK(run.expect<ContentWanted>().digests == submit.blobs);
  run.send(ContentPart{sha256(text), 0, text, true});
  CHECK(agent.expect<ContentPart>().bytes == text);
}

TEST_CASE("a run that leaves before its contents are here has submitted nothing") {
  MasterFixture fixture;
  Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  submit.blobs = {sha256("print(1)")};
  {
    Peer run = fixture.run();
    run.send(submit);
    run.expect<ContentWanted>();
  }
  Peer again = fixture.run();
  again.send(submit);
  again.expect<ContentWanted>();
  again.send(ContentPart{submit.blobs[0], 0, "print(1)", true});
  again.expect_state(submit.attempt, AttemptState::kQueued);
  fixture.stop();
  CHECK(fixture.number("SELECT count(*) FROM attempts") == 1);
}

TEST_CASE("the attempts of a run can be listed, with what is unknown said so") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string first = MasterFixture::running(run, agent, MasterFixture::key("first"));
  const std::string second = MasterFixture::running(run, agent, MasterFixture::key("second"));
  agent.send(MasterFixture::result(second, AttemptState::kFailed, 0));
  run.expect<AttemptResult>();
  run.send(ListAttempts{"run-1"});
  const auto all = run.expect<RunAttempts>();
  REQUIRE(all.attempts.size() == 2);
  CHECK(all.attempts[0].attempt == first);
  CHECK(all.attempts[0].state == AttemptState::kRunning);
  CHECK(all.attempts[1].key == MasterFixture::key("second"));
  CHECK(all.attempts[1].state == AttemptState::kFailed);
  run.send(ListAttempts{"run-2"});
  CHECK(run.expect<RunAttempts>().attempts.empty());
}

TEST_CASE("a later attempt of the same task has the older one cancelled") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string first = MasterFixture::running(run, agent, MasterFixture::key("build", 1));
  run.send(MasterFixture::submit(MasterFixture::key("build", 2)));
  CHECK(agent.expect<CancelAttempt>().attempt == first);
}

}  // namespace
}  // namespace sloth
