// Peers that say what none of ours would say: answered with Rejected and the end of their link; others do not
// notice.
#include <limits>

#include "tests/unit/agent/master_fixture.h"

namespace sloth {
namespace {

const std::string kStranger(32, 'a');
constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// One agent that is fine, with a running attempt, beside which others misbehave.
class Peaceful {
 public:
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));

  ~Peaceful() {
    agent.send(SpoolPart{id, 0, "fine"});
    CHECK(agent.expect<SpoolAck>().offset == 4);
    agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 4));
    CHECK(run.expect<AttemptResult>().state == AttemptState::kSucceeded);
  }
};

TEST_CASE("what an agent may not say ends its link and nothing else") {
  Peaceful rest;
  const std::vector<Message> wrong = {
      RunHello{},
      Submit{},
      Subscribe{rest.id, 0},
      rest.fixture.hello("web-2"),
      SpoolPart{kStranger, 0, "x"},
      SpoolPart{rest.id, 0, "x"},
      SpoolPart{rest.id, kHuge, "x"},
      SpoolPart{rest.id, 0, std::string((std::size_t{256} << 10) + 1, 'x')},
      AttemptResult{kStranger, AttemptState::kSucceeded, "", 0},
      AttemptResult{rest.id, AttemptState::kSucceeded, "", 0},
      AttemptResult{rest.id, AttemptState::kLost, "", 0},
      AttemptResult{rest.id, AttemptState::kRunning, "", kHuge},
      OfferAnswer{kStranger, AttemptState::kAccepted, "", false},
      OfferAnswer{rest.id, AttemptState::kRunning, "", false},
      OfferAnswer{rest.id, AttemptState::kQueued, "", false},
      AttemptStarted{kStranger},
      AttemptStarted{rest.id},
      ContentWanted{{"../../etc/passwd"}},
      ContentWanted{std::vector<std::string>(200'000, std::string(64, '0'))},
      AgentWelcome{},
      ListAgents{},
      CancelAttempt{rest.id, "not yours"},
  };
  for (const Message& message : wrong) {
    INFO(message_name(message));
    Peer peer = rest.fixture.agent("web-2");
    peer.send(message);
    peer.expect_rejected();
  }
}

TEST_CASE("an agent must say hello first, and a sound one") {
  Peaceful rest;
  for (const Message& message :
       std::vector<Message>{Heartbeat{}, Goodbye{}, OfferAnswer{}, SpoolPart{}, Rejected{}}) {
    INFO(message_name(message));
    Peer peer = rest.fixture.connect(Role::kAgent);
    peer.send(message);
    CHECK(peer.expect_rejected().permanent);
  }
  for (const char* name : {"", "-x", "a/b", "..", "a b", "a\n"}) {
    INFO(name);
    Peer peer = rest.fixture.connect(Role::kAgent);
    peer.send(rest.fixture.hello(name));
    CHECK(peer.expect_rejected().permanent);
  }
  const AttemptReport sound =
      MasterFixture::report(MasterFixture::key("x", 1, "web-2"), AttemptState::kRunning);
  AttemptReport other_agent = MasterFixture::report(MasterFixture::key("build"), AttemptState::kRunning);
  AttemptReport other_id = sound;
  other_id.attempt = kStranger;
  AttemptReport no_digest = sound;
  no_digest.digest = "x";
  AttemptReport no_state = sound;
  no_state.state = AttemptState::kLost;
  for (const AttemptReport& report : {other_agent, other_id, no_digest, no_state}) {
    Peer peer = rest.fixture.connect(Role::kAgent);
    peer.send(rest.fixture.hello("web-2", {report}));
    CHECK(peer.expect_rejected().permanent);
  }
}

TEST_CASE("what a run may not say ends its link and nothing else") {
  Peaceful rest;
  Submit other_id = MasterFixture::submit(MasterFixture::key("x"));
  other_id.attempt = kStranger;
  Submit other_digest = MasterFixture::submit(MasterFixture::key("x"));
  other_digest.digest = sha256("something else");
  Submit no_digest = MasterFixture::submit(MasterFixture::key("x"));
  no_digest.digest = "x";
  Submit no_blob = MasterFixture::submit(MasterFixture::key("x"));
  no_blob.blobs = {"../master.db"};
  Submit for_ever = MasterFixture::submit(MasterFixture::key("x"));
  for_ever.queue_ms = std::numeric_limits<std::int64_t>::max();
  Submit negative = MasterFixture::submit(MasterFixture::key("x"));
  negative.lost_ms = -1;
  const std::vector<Message> wrong = {
      AgentHello{},
      Heartbeat{},
      RunHello{},
      Subscribe{kStranger, 0},
      Subscribe{rest.id, kHuge},
      CancelAttempt{kStranger, ""},
      ContentPart{sha256("x"), 0, "x", true},
      SpoolPart{rest.id, 0, "x"},
      AttemptResult{rest.id, AttemptState::kSucceeded, "", 0},
      AttemptStarted{rest.id},
      Submit{},
      MasterFixture::submit(MasterFixture::key("x", 0)),
      MasterFixture::submit(MasterFixture::key("x", 1, "../x")),
      other_id,
      other_digest,
      no_digest,
      no_blob,
      for_ever,
      negative,
  };
  for (const Message& message : wrong) {
    INFO(message_name(message));
    Peer peer = rest.fixture.run();
    peer.send(message);
    peer.expect_rejected();
  }
  Peer first = rest.fixture.connect(Role::kRun);
  first.send(ListAgents{});
  CHECK(first.expect_rejected().permanent);
  Peer acks = rest.fixture.run();
  acks.send(Subscribe{rest.id, 0});
  acks.expect_state(rest.id, AttemptState::kRunning);
  acks.send(SpoolAck{rest.id, kHuge});
  acks.expect_rejected();
  // Of what it does not follow: late, not wrong.
  Peer late = rest.fixture.run();
  late.send(SpoolAck{kStranger, kHuge});
  late.send(ResultAck{kStranger});
  late.settle();
}

TEST_CASE("content that is not what was asked for is not taken") {
  Peaceful rest;
  const std::vector<ContentPart> wrong = {
      {sha256("asked"), 0, "other", true},
      {sha256("asked"), 7, "asked", true},
      {sha256("not asked"), 0, "not asked", true},
  };
  Submit submit = MasterFixture::submit(MasterFixture::key("x"));
  submit.blobs = {sha256("asked")};
  for (const ContentPart& part : wrong) {
    Peer peer = rest.fixture.run();
    peer.send(submit);
    peer.expect<ContentWanted>();
    peer.send(part);
    CHECK(peer.expect_rejected().permanent);
  }
  // Nothing of it stayed.
  Peer peer = rest.fixture.run();
  peer.send(submit);
  CHECK(peer.expect<ContentWanted>().digests == submit.blobs);
}

TEST_CASE("an agent that sends without waiting for acknowledgements is sent away") {
  Peaceful rest;
  Peer peer = rest.fixture.agent("web-2");
  Peer run = rest.fixture.run();
  const AttemptKey key = MasterFixture::key("flood", 1, "web-2");
  const std::string id = MasterFixture::running(run, peer, key);
  const std::string part(std::size_t{256} << 10, 'x');
  for (std::uint64_t i = 0; i < 4000 && peer.count<Rejected>() == 0; ++i) {
    peer.send(SpoolPart{id, i * part.size(), part});
    if (peer.count<SpoolAck>() > 64) break;  // this disk is faster than the flood
  }
  run.settle();
}

TEST_CASE("a link that ends at any moment leaves nothing behind") {
  MasterFixture fixture;
  Peer run = fixture.run();
  for (int i = 0; i < 30; ++i) {
    Peer agent = fixture.connect(Role::kAgent);
    agent.send(fixture.hello("web-1"));
    if (i % 3 == 0) continue;
    agent.send(Heartbeat{});
    if (i % 3 == 1) agent.link().close();
    Peer other = fixture.connect(Role::kRun);
    other.send(RunHello{});
    other.send(MasterFixture::submit(MasterFixture::key("task-" + std::to_string(i))));
    if (i % 2 == 0) other.wire().cut();
  }
  run.send(ListAgents{});
  CHECK(run.expect<Agents>().agents.size() <= 1);
}

}  // namespace
}  // namespace sloth
