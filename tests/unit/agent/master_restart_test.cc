// What the next master of a directory finds: journal, spools, agents that come back.
#include <unistd.h>

#include "runner/os/file_tree.h"
#include "tests/unit/agent/master_fixture.h"

namespace sloth {
namespace {

// F5.
TEST_CASE("a running attempt goes on over a restart of the master, output without gap or repeat") {
  MasterFixture fixture;
  const AttemptKey key = MasterFixture::key("build");
  const std::string id = attempt_id(key);
  {
    Peer agent = fixture.agent("web-1");
    Peer run = fixture.run();
    MasterFixture::running(run, agent, key);
    agent.send(SpoolPart{id, 0, "before "});
    CHECK(agent.expect<SpoolAck>().offset == 7);
    CHECK(run.expect<SpoolPart>().bytes == "before ");
    fixture.restart();
    agent.expect_closed();
    run.expect_closed();
  }
  Peer run = fixture.run();
  run.send(MasterFixture::submit(key));  // as every run does with every new master
  run.send(Subscribe{id, 7});
  run.expect_state(id, AttemptState::kRunning);
  Peer agent = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
  // From the last offset that it knows to be acknowledged, perhaps an older one.
  agent.send(SpoolPart{id, 3, "ore after"});
  CHECK(agent.expect<SpoolAck>().offset == 12);
  const auto part = run.expect<SpoolPart>();
  CHECK(part.offset == 7);
  CHECK(part.bytes == "after");
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 12));
  CHECK(run.expect<AttemptResult>().spool_end == 12);
  CHECK(agent.count<Offer>() == 0);
  CHECK(fixture.spool(id) == "before after");
}

// F6.
TEST_CASE("an offer that was committed and perhaps not sent is offered again with the same id") {
  MasterFixture fixture;
  const AttemptKey key = MasterFixture::key("build");
  {
    Peer agent = fixture.agent("web-1");
    Peer run = fixture.run();
    run.send(MasterFixture::submit(key));
    run.expect_state(attempt_id(key), AttemptState::kOffered);
  }
  fixture.restart();
  Peer agent = fixture.agent("web-1");
  const auto offer = agent.expect<Offer>();
  CHECK(offer.attempt == attempt_id(key));
  CHECK(offer.request == "a request");
  fixture.stop();
  CHECK(fixture.steps(attempt_id(key)) == std::vector<std::string>{"offered"});
}

TEST_CASE("an agent that comes back without what it accepted is offered it again") {
  MasterFixture fixture;
  const AttemptKey key = MasterFixture::key("build");
  Peer run = fixture.run();
  run.send(MasterFixture::submit(key));
  run.send(Subscribe{attempt_id(key), 0});
  {
    Peer agent = fixture.agent("web-1");
    agent.expect<Offer>();
    agent.send(OfferAnswer{attempt_id(key), AttemptState::kAccepted, "", false});
    run.expect_state(attempt_id(key), AttemptState::kAccepted);
  }
  Peer agent = fixture.agent("web-1");
  CHECK(agent.expect<Offer>().attempt == attempt_id(key));
  agent.send(OfferAnswer{attempt_id(key), AttemptState::kRunning, "", false});
  run.expect_state(attempt_id(key), AttemptState::kRunning);
}

TEST_CASE("an agent that comes back without what it had started has interrupted it") {
  MasterFixture fixture;
  Peer run = fixture.run();
  std::string id;
  {
    Peer agent = fixture.agent("web-1");
    id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  }
  Peer agent = fixture.agent("web-1");
  const auto result = run.expect<AttemptResult>();
  CHECK(result.state == AttemptState::kInterrupted);
  CHECK(agent.count<Offer>() == 0);
}

TEST_CASE("an answer that comes right after the hello is not taken for something that the hello lacked") {
  MasterFixture fixture;
  const AttemptKey key = MasterFixture::key("build");
  Peer run = fixture.run();
  run.send(MasterFixture::submit(key));
  run.send(Subscribe{attempt_id(key), 0});
  {
    Peer agent = fixture.agent("web-1");
    agent.expect<Offer>();
  }
  Peer agent = fixture.connect(Role::kAgent);
  agent.send(fixture.hello("web-1"));
  agent.send(OfferAnswer{attempt_id(key), AttemptState::kRunning, "", false});
  agent.send(MasterFixture::result(attempt_id(key), AttemptState::kSucceeded, 0));
  CHECK(run.expect<AttemptResult>().state == AttemptState::kSucceeded);
}

TEST_CASE("a result is told again to a run that comes after a restart") {
  MasterFixture fixture;
  std::string id;
  {
    Peer agent = fixture.agent("web-1");
    Peer run = fixture.run();
    id = MasterFixture::running(run, agent, MasterFixture::key("build"));
    agent.send(SpoolPart{id, 0, "all of it"});
    agent.send(MasterFixture::result(id, AttemptState::kFailed, 9));
    agent.expect<ResultAck>();
  }
  fixture.restart();
  Peer run = fixture.run();
  run.send(Subscribe{id, 0});
  run.expect_state(id, AttemptState::kFailed);
  CHECK(run.expect<SpoolPart>().bytes == "all of it");
  CHECK(run.expect<AttemptResult>().outcome == "an outcome");
  // Its agent never heard the acknowledgement: it says it again, and gets it.
  Peer agent =
      fixture.agent("web-1", {MasterFixture::report(MasterFixture::key("build"), AttemptState::kFailed)});
  agent.send(MasterFixture::result(id, AttemptState::kFailed, 9));
  agent.expect<ResultAck>();
  fixture.stop();
  CHECK(fixture.number("SELECT count(*) FROM evidence") == 0);
}

TEST_CASE("queued attempts wait on over a restart, for what is left of their time") {
  MasterFixture fixture;
  Submit patient = MasterFixture::submit(MasterFixture::key("patient"));
  Submit hasty = MasterFixture::submit(MasterFixture::key("hasty"));
  hasty.queue_ms = 1;
  {
    Peer run = fixture.run();
    run.send(patient);
    run.expect_state(patient.attempt, AttemptState::kQueued);
    run.send(hasty);
    run.expect_state(hasty.attempt, AttemptState::kQueued);
  }
  fixture.restart();
  Peer run = fixture.run();
  run.send(Subscribe{hasty.attempt, 0});
  run.expect_state(hasty.attempt, AttemptState::kRefused);
  Peer agent = fixture.agent("web-1");
  CHECK(agent.expect<Offer>().attempt == patient.attempt);
}

TEST_CASE("attempts that only their agent knows are taken into the journal") {
  MasterFixture fixture;
  const AttemptKey key = MasterFixture::key("build");
  Peer agent = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kSucceeded)});
  agent.send(SpoolPart{attempt_id(key), 0, "output"});
  agent.send(MasterFixture::result(attempt_id(key), AttemptState::kSucceeded, 6));
  agent.expect<ResultAck>();
  Peer run = fixture.run();
  run.send(ListAttempts{"run-1"});
  const auto all = run.expect<RunAttempts>();
  REQUIRE(all.attempts.size() == 1);
  CHECK(all.attempts[0].state == AttemptState::kSucceeded);
}

TEST_CASE("what only its agent knew and then did not have cannot be offered again, and is refused") {
  MasterFixture fixture;
  const AttemptKey key = MasterFixture::key("build");
  Peer run = fixture.run();
  {
    Peer agent = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kAccepted)});
    run.send(ListAttempts{"run-1"});
    while (run.expect<RunAttempts>().attempts.empty()) run.send(ListAttempts{"run-1"});
  }
  Peer agent = fixture.agent("web-1");
  run.send(Subscribe{attempt_id(key), 0});
  CHECK(run.expect<AttemptResult>().state == AttemptState::kRefused);
  CHECK(agent.count<Offer>() == 0);
}

TEST_CASE("one master at a time has a directory, and its pid is told to the second") {
  MasterFixture fixture;
  Master::Options options;
  options.directory = fixture.directory();
  const auto second = Master::open(options, fixture.executor(), fixture.clock());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::kUnavailable);
  CHECK(second.error().message.find("pid " + std::to_string(::getpid())) != std::string::npos);
  CHECK(second.error().message.find(fixture.directory()) == 0);
  CHECK(stat_file(fixture.directory())->mode == 0700);
}

// F28.
TEST_CASE("a damaged database is named, left as it is, and the directory is free again") {
  MasterFixture fixture;
  fixture.stop();
  const std::string path = fixture.directory() + "/master.db";
  fixture.number("PRAGMA wal_checkpoint(TRUNCATE)");
  const auto sound = read_file(path, 1 << 24);
  REQUIRE(sound);
  std::string damaged = std::string(10'000, 'x');
  SECTION("overwritten") {}
  SECTION("emptied, with something that belongs to it") {
    damaged.clear();
    REQUIRE(write_file(fixture.directory() + "/spools/" + attempt_id({}), "output"));
  }
  REQUIRE(write_file(path, damaged));
  Master::Options options;
  options.directory = fixture.directory();
  const auto opened = Master::open(options, fixture.executor(), fixture.clock());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::kInvalid);
  CHECK(opened.error().message.find(path) != std::string::npos);
  CHECK(*read_file(path, 1 << 24) == damaged);
  REQUIRE(write_file(path, *sound));
  fixture.restart();
}

TEST_CASE("what ended long ago is forgotten, with its spool, what nobody knows of is swept away") {
  Master::Options options;
  options.keep = std::chrono::milliseconds(1);
  MasterFixture fixture(options);
  std::string ended;
  std::string living;
  {
    Peer agent = fixture.agent("web-1");
    Peer run = fixture.run();
    ended = MasterFixture::running(run, agent, MasterFixture::key("ended"));
    living = MasterFixture::running(run, agent, MasterFixture::key("living"));
    agent.send(SpoolPart{ended, 0, "old"});
    agent.send(SpoolPart{living, 0, "new"});
    agent.send(MasterFixture::result(ended, AttemptState::kSucceeded, 3));
    agent.expect<ResultAck>();
    run.expect<SpoolPart>([&](const SpoolPart& part) { return part.attempt == living; });
  }
  REQUIRE(write_file(fixture.directory() + "/spools/0123456789abcdef0123456789abcdef", "of nobody"));
  fixture.restart();
  Peer run = fixture.run();
  run.send(ListAttempts{"run-1"});
  while (run.expect<RunAttempts>().attempts.size() > 1) run.send(ListAttempts{"run-1"});
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (list_directory(fixture.directory() + "/spools")->size() > 1 &&
         std::chrono::steady_clock::now() < until) {
    run.settle();
  }
  CHECK(*list_directory(fixture.directory() + "/spools") == std::vector<std::string>{living});
}

}  // namespace
}  // namespace sloth
