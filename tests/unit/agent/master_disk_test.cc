// A disk that refuses: what was not committed was not done, was told to nobody, and is done later.
#include "runner/store/sqlite.h"
#include "tests/unit/agent/master_fixture.h"

namespace sloth {
namespace {

// Makes writes of one kind fail, as a full disk would, until it is destroyed.
class Refusal {
 public:
  Refusal(MasterFixture& fixture, const std::string& when) {
    auto opened = Database::open(fixture.directory() + "/master.db", {.label = "journal"});
    REQUIRE(opened);
    database_ = std::move(*opened);
    REQUIRE(database_->execute("CREATE TRIGGER refusal BEFORE " + when +
                               " BEGIN SELECT RAISE(ABORT, 'no space, says the test'); END"));
  }
  ~Refusal() { CHECK(database_->execute("DROP TRIGGER refusal")); }
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;

 private:
  std::unique_ptr<Database> database_;
};

TEST_CASE("a submit that cannot be recorded is not taken, and the run may come again") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  const Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  {
    const Refusal refusal(fixture, "INSERT ON attempts");
    Peer run = fixture.run();
    run.send(submit);
    const auto rejected = run.expect_rejected();
    CHECK_FALSE(rejected.permanent);
    CHECK(rejected.reason.find("no space, says the test") != std::string::npos);
    CHECK(agent.count<Offer>() == 0);
  }
  Peer run = fixture.run();
  run.send(submit);
  CHECK(agent.expect<Offer>().attempt == submit.attempt);
}

TEST_CASE("an offer that cannot be recorded is not sent") {
  MasterFixture fixture;
  Peer run = fixture.run();
  const Submit submit = MasterFixture::submit(MasterFixture::key("build"));
  run.send(submit);
  run.expect_state(submit.attempt, AttemptState::kQueued);
  std::optional<Refusal> refusal;
  refusal.emplace(fixture, "UPDATE ON attempts WHEN NEW.state = 'offered'");
  Peer agent = fixture.agent("web-1");
  run.settle();
  CHECK(agent.count<Offer>() == 0);
  refusal.reset();
  CHECK(agent.expect<Offer>().attempt == submit.attempt);
}

TEST_CASE("a result that cannot be recorded is not acknowledged, and comes again") {
  MasterFixture fixture;
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  {
    Peer agent = fixture.agent("web-1");
    const std::string id = MasterFixture::running(run, agent, key);
    const Refusal refusal(fixture, "UPDATE ON attempts WHEN NEW.state = 'succeeded'");
    agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 0));
    CHECK_FALSE(agent.expect_rejected().permanent);
    CHECK(agent.count<ResultAck>() == 0);
    run.settle();
    CHECK(run.count<AttemptResult>() == 0);
  }
  Peer agent = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kSucceeded)});
  agent.send(MasterFixture::result(attempt_id(key), AttemptState::kSucceeded, 0));
  agent.expect<ResultAck>();
  CHECK(run.expect<AttemptResult>().state == AttemptState::kSucceeded);
}

TEST_CASE("a cancel that cannot be recorded is not taken for one") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  {
    const Refusal refusal(fixture, "UPDATE ON attempts WHEN NEW.cancel = 1");
    run.send(CancelAttempt{id, "why"});
    CHECK_FALSE(run.expect_rejected().permanent);
    CHECK(agent.count<CancelAttempt>() == 0);
  }
  Peer again = fixture.run();
  again.send(CancelAttempt{id, "why"});
  CHECK(agent.expect<CancelAttempt>().reason == "why");
}

TEST_CASE("an agent that cannot be recorded is not welcomed, and may come again") {
  MasterFixture fixture;
  {
    const Refusal refusal(fixture, "INSERT ON agents");
    Peer agent = fixture.connect(Role::kAgent);
    agent.send(fixture.hello("web-1"));
    CHECK_FALSE(agent.expect_rejected().permanent);
  }
  fixture.agent("web-1");
}

TEST_CASE("the refusal of one change costs its neighbours nothing") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const Refusal refusal(fixture, "INSERT ON attempts WHEN NEW.task = 'cursed'");
  for (int i = 0; i < 20; ++i) {
    Peer other = fixture.run();
    other.send(MasterFixture::submit(MasterFixture::key("cursed")));
    run.send(MasterFixture::submit(MasterFixture::key("task-" + std::to_string(i))));
    CHECK_FALSE(other.expect_rejected().permanent);
    agent.expect<Offer>();
    agent.send(OfferAnswer{attempt_id(MasterFixture::key("task-" + std::to_string(i))),
                           AttemptState::kAccepted, "", false});
  }
}

}  // namespace
}  // namespace sloth
