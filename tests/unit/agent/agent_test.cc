#include "agent/agent.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "agent/spool.h"
#include "runner/os/file_tree.h"
#include "tests/unit/agent/agent_fixture.h"

namespace sloth {
namespace {

Outcome outcome(OutcomeKind kind, const std::string& message) {
  Outcome made;
  made.kind = kind;
  made.message = message;
  return made;
}

std::string message_of(const AttemptResult& result) {
  auto decoded = decode_outcome(result.outcome);
  REQUIRE(decoded);
  return decoded->message;
}

// Every byte another, so that a shift or a hole shows.
std::string pattern(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// The stdout bytes of a spool.
std::string output_of(const std::string& spool) {
  SpoolParser parser;
  std::string output;
  auto fed = parser.feed(spool, [&](const auto& body) { output += std::get<TaskOutput>(body).bytes; });
  REQUIRE(fed);
  CHECK(parser.pending() == 0);
  return output;
}

}  // namespace

TEST_CASE("an offer is accepted, started once, and its output and result come home") {
  AgentFixture fixture;
  const AgentHello hello = fixture.start();
  CHECK(hello.name == "web-1");
  CHECK(hello.key.size() == 32);
  CHECK(hello.max_attempts == 4);
  CHECK(hello.attempts.empty());

  const std::string id = fixture.run("build");
  CHECK(fixture.host.plan(id).files.directory == fixture.path("attempts/" + id));
  CHECK(fixture.host.plan(id).workspace == fixture.path("work/" + id));
  fixture.host.write(id, "hello ");
  fixture.host.write(id, "world\n");
  fixture.host.end(id, AttemptState::kSucceeded, outcome(OutcomeKind::kSucceeded, "fine"));
  const auto result = fixture.master.wait_of<AttemptResult>(id);
  CHECK(result.state == AttemptState::kSucceeded);
  CHECK(message_of(result) == "fine");
  CHECK(result.spool_end == fixture.master.spool(id).size());
  CHECK(output_of(fixture.master.spool(id)) == "hello world\n");
  CHECK(becomes(
      [&] { return !exists(fixture.path("attempts/" + id)) && !exists(fixture.path("work/" + id)); }));
  CHECK(fixture.host.starts() == 1);

  fixture.crash();
  CHECK(fixture.start().attempts.empty());
}

TEST_CASE("F19: a repeated offer gets the journalled state, another bundle of the same id is refused") {
  AgentFixture fixture;
  fixture.start();
  const std::string id = fixture.run("build");
  const Offer same = fixture.offer(fixture.key("build"));

  fixture.master.send(same);
  CHECK(fixture.master.wait_of<OfferAnswer>(id).state == AttemptState::kRunning);

  Offer other = same;
  const Bundle changed = fixture.bundle("build", {"root", "web-1"});
  other.request = changed.request;
  other.digest = changed.digest;
  fixture.master.send(other);
  const auto refused = fixture.master.wait_of<OfferAnswer>(id);
  CHECK(refused.state == AttemptState::kRefused);
  CHECK(refused.reason == "another bundle with the same id");
  CHECK_FALSE(refused.may_retry);

  fixture.master.acknowledge_results(false);
  fixture.host.end(id, AttemptState::kFailed, outcome(OutcomeKind::kFailed, "no"));
  fixture.master.wait_of<AttemptResult>(id);
  fixture.master.send(same);
  CHECK(fixture.master.wait_of<OfferAnswer>(id).state == AttemptState::kFailed);
  CHECK(fixture.master.wait_of<AttemptResult>(id).state == AttemptState::kFailed);
  CHECK(fixture.host.starts() == 1);
}

TEST_CASE("two copies of one offer, sent at once, are one attempt") {
  AgentFixture fixture;
  fixture.start();
  const Offer offer = fixture.offer(fixture.key("build"));
  for (int i = 0; i < 8; ++i) fixture.master.send(offer);
  fixture.master.wait_of<AttemptStarted>(offer.attempt);
  fixture.host.end(offer.attempt, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptResult>(offer.attempt);
  CHECK(fixture.host.starts() == 1);
}

TEST_CASE(
    "F23: a number below the highest is superseded, after a restart as well, and the older attempt is "
    "ended") {
  AgentFixture fixture;
  fixture.start();
  const std::string first = fixture.run("build", 1);
  const std::string third = fixture.run("build", 3);
  const auto ended = fixture.master.wait_of<AttemptResult>(first);
  CHECK(ended.state == AttemptState::kCancelled);
  CHECK(message_of(ended) == "superseded by attempt 3");

  const auto refuse_second = [&] {
    fixture.master.send(fixture.offer(fixture.key("build", 2)));
    const auto answer = fixture.master.wait<OfferAnswer>();
    CHECK(answer.state == AttemptState::kRefused);
    CHECK(answer.reason == "superseded by attempt 3");
    CHECK_FALSE(answer.may_retry);
  };
  refuse_second();
  fixture.crash();
  fixture.start();
  refuse_second();
  fixture.host.end(third, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptResult>(third);
  CHECK(fixture.host.starts() == 2);
}

TEST_CASE("an attempt that ended and was forgotten is never started again") {
  AgentFixture fixture;
  fixture.start();
  const std::string id = fixture.run("build");
  fixture.host.end(id, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptResult>(id);
  REQUIRE(becomes([&] { return !exists(fixture.path("attempts/" + id)); }));
  // A new agent, so that the row is surely gone from memory, too.
  fixture.crash();
  CHECK(fixture.start().attempts.empty());
  fixture.master.send(fixture.offer(fixture.key("build")));
  CHECK(fixture.master.wait_of<OfferAnswer>(id).state == AttemptState::kSucceeded);
  CHECK(fixture.master.wait_of<AttemptResult>(id).state == AttemptState::kSucceeded);
  CHECK(fixture.host.starts() == 1);
}

TEST_CASE("what is wrong with an offer is named, and nothing of it is started") {
  AgentFixture fixture;
  fixture.start();
  const auto refusal = [&](const Offer& offer) {
    fixture.master.send(offer);
    auto answer = fixture.master.wait_of<OfferAnswer>(offer.attempt);
    CHECK(answer.state == AttemptState::kRefused);
    CHECK_FALSE(answer.may_retry);
    return answer.reason;
  };
  SECTION("a user that the policy does not know") {
    CHECK(refusal(fixture.offer(fixture.key("build"), "no-such-user")).find("no-such-user") !=
          std::string::npos);
  }
  SECTION("bytes of another digest") {
    Offer offer = fixture.offer(fixture.key("build"));
    offer.request += "x";
    CHECK(refusal(offer).find("digest") != std::string::npos);
  }
  SECTION("no bundle") {
    Offer offer = fixture.offer(fixture.key("build"));
    offer.request = "\xff\xff\xff";
    offer.digest = sha256(offer.request);
    CHECK(refusal(offer).find("bundle") != std::string::npos);
  }
  SECTION("an id that is not its key's") {
    Offer offer = fixture.offer(fixture.key("build"));
    offer.attempt = "../../../../tmp/x";
    CHECK(refusal(offer).find("id") != std::string::npos);
  }
  SECTION("another agent's") {
    CHECK(refusal(fixture.offer({"run-1", "build", "web-2", 1})) ==
          "it is for the agent \"web-2\", this is \"web-1\"");
  }
  SECTION("a bundle of another task") {
    Offer offer = fixture.offer(fixture.key("build"));
    offer.key.task = "deploy";
    offer.attempt = attempt_id(offer.key);
    CHECK(refusal(offer) == "the bundle is of task \"build\", the offer of \"deploy\"");
  }
  CHECK(fixture.host.starts() == 0);
  CHECK(std::filesystem::is_empty(fixture.path("attempts")));
}

TEST_CASE("content that is not here is asked for once and kept") {
  AgentFixture fixture;
  fixture.start();
  const Bundle bundle = fixture.bundle("build", {"", "web-1"}, pattern(700'000, 7));
  REQUIRE(bundle.blobs.size() == 1);
  const Blob& blob = bundle.blobs.front();
  const auto offer_of = [&](int number) {
    const AttemptKey key = fixture.key("build", number);
    return Offer{attempt_id(key), key, bundle.digest, bundle.request};
  };
  const auto supply = [&] {
    const std::string& bytes = *blob.bytes;
    for (std::size_t at = 0; at < bytes.size(); at += 256 << 10) {
      const std::string part = bytes.substr(at, 256 << 10);
      fixture.master.send(ContentPart{blob.digest, at, part, at + part.size() == bytes.size()});
    }
  };
  fixture.master.send(offer_of(1));
  CHECK(fixture.master.wait<ContentWanted>().digests == std::vector<std::string>{blob.digest});

  SECTION("and a link that breaks meanwhile costs nothing") {
    fixture.master.cut();
    CHECK(fixture.master.wait<AgentHello>().attempts.empty());
    fixture.master.send(offer_of(1));
    CHECK(fixture.master.wait<ContentWanted>().digests == std::vector<std::string>{blob.digest});
  }
  SECTION("and wrong bytes are refused by name") {
    fixture.master.send(ContentPart{blob.digest, 0, "wrong", true});
    const auto answer = fixture.master.wait<OfferAnswer>();
    CHECK(answer.state == AttemptState::kRefused);
    CHECK(answer.reason.find(blob.digest) != std::string::npos);
    fixture.master.send(offer_of(1));
    fixture.master.wait<ContentWanted>();
  }
  supply();
  fixture.master.wait_of<AttemptStarted>(attempt_id(fixture.key("build", 1)));
  CHECK(*read_file(fixture.path("content/" + blob.digest), 1 << 20) == *blob.bytes);

  fixture.master.send(offer_of(2));
  fixture.master.wait_of<AttemptStarted>(attempt_id(fixture.key("build", 2)));
  CHECK(fixture.master.heard<ContentWanted>().size() <= 2);
}

TEST_CASE("beyond its places an agent keeps attempts waiting, and starts them in order") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 1;
  fixture.start();
  const std::string first = fixture.run("a");
  const std::string second = fixture.accept("b");
  const std::string third = fixture.accept("c");
  fixture.master.send(fixture.offer(fixture.key("b")));
  CHECK(fixture.master.wait_of<OfferAnswer>(second).state == AttemptState::kAccepted);
  CHECK(fixture.host.starts() == 1);
  fixture.host.end(first, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptStarted>(second);
  CHECK(fixture.host.starts() == 2);
  fixture.host.end(second, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptStarted>(third);
}

TEST_CASE("F2: an attempt accepted and not started before a crash is started once after it") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 1;
  fixture.start();
  const std::string first = fixture.run("a");
  const std::string second = fixture.accept("b");
  fixture.crash();

  const AgentHello hello = fixture.start();
  std::map<std::string, AttemptState> states;
  for (const AttemptReport& report : hello.attempts) states[report.attempt] = report.state;
  CHECK(states == std::map<std::string, AttemptState>{{first, AttemptState::kRunning},
                                                      {second, AttemptState::kAccepted}});
  CHECK(fixture.host.starts() == 1);
  fixture.host.end(first, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptStarted>(second);
  fixture.host.end(second, AttemptState::kSucceeded);
  CHECK(fixture.master.wait_of<AttemptResult>(second).state == AttemptState::kSucceeded);
  CHECK(fixture.host.starts(second) == 1);
}

TEST_CASE("an accepted attempt whose request did not survive is offered again") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 1;
  fixture.start();
  const std::string first = fixture.run("a");
  const std::string second = fixture.accept("b");
  fixture.crash();
  REQUIRE(write_file(fixture.path("attempts/" + second + "/request"), "half"));
  const AgentHello hello = fixture.start();
  REQUIRE(hello.attempts.size() == 1);
  CHECK(hello.attempts.front().attempt == first);
  CHECK(fixture.accept("b") == second);
  fixture.host.end(first, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptStarted>(second);
}

TEST_CASE("F1: an attempt goes on while its agent is away, and its output has no gap and no repeat") {
  AgentFixture fixture;
  fixture.start();
  const std::string id = fixture.run("build");
  const std::string before = pattern(60'000, 1);
  const std::string meanwhile = pattern(60'000, 2);
  fixture.host.write(id, before);
  REQUIRE(fixture.master.wait_spool(id, before.size()));
  fixture.crash();
  fixture.host.write(id, meanwhile);
  const AgentHello hello = fixture.start();
  REQUIRE(hello.attempts.size() == 1);
  CHECK(hello.attempts.front().state == AttemptState::kRunning);
  fixture.host.write(id, "end");
  fixture.host.end(id, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptResult>(id);
  CHECK(output_of(fixture.master.spool(id)) == before + meanwhile + "end");
  CHECK(fixture.host.starts() == 1);
}

TEST_CASE("F3: an attempt that ended while its agent was away is recorded once, as its result says") {
  AgentFixture fixture;
  fixture.start();
  const std::string id = fixture.run("build");
  fixture.crash();
  fixture.host.write(id, "last words");
  fixture.host.end(id, AttemptState::kFailed, outcome(OutcomeKind::kFailed, "exit 3"));
  fixture.start();
  const auto result = fixture.master.wait_of<AttemptResult>(id);
  CHECK(result.state == AttemptState::kFailed);
  CHECK(message_of(result) == "exit 3");
  CHECK(output_of(fixture.master.spool(id)) == "last words");
  CHECK(fixture.host.starts() == 1);
}

TEST_CASE("F4: a result without its acknowledgement is sent again until it comes, then forgotten") {
  AgentFixture fixture;
  fixture.master.acknowledge_results(false);
  fixture.start();
  const std::string id = fixture.run("build");
  fixture.host.write(id, "out");
  fixture.host.end(id, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptResult>(id);

  fixture.master.cut();
  CHECK(fixture.master.wait<AgentHello>().attempts.front().state == AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptResult>(id);

  fixture.crash();
  CHECK(fixture.start().attempts.front().state == AttemptState::kSucceeded);
  const auto again = fixture.master.wait_of<AttemptResult>(id);
  CHECK(again.state == AttemptState::kSucceeded);
  fixture.master.send(ResultAck{id});
  REQUIRE(becomes([&] { return !exists(fixture.path("attempts/" + id)); }));

  fixture.crash();
  CHECK(fixture.start().attempts.empty());
}

TEST_CASE("F1 and F8: a started attempt without process and without result is interrupted") {
  AgentFixture fixture;
  fixture.start();
  const std::string id = fixture.run("build");
  fixture.crash();
  SECTION("its process was killed") { fixture.host.die(id); }
  SECTION("the machine went down") { fixture.host.reboot(); }
  fixture.start();
  const auto result = fixture.master.wait_of<AttemptResult>(id);
  CHECK(result.state == AttemptState::kInterrupted);
  CHECK(message_of(result) == "the attempt's process is gone and left no result");
  CHECK(fixture.host.starts() == 1);
}

TEST_CASE("F15: a link that is cut in the middle of a spool goes on at the acknowledged offset") {
  AgentFixture fixture;
  fixture.master.acknowledge_spools(false);
  fixture.start();
  const std::string id = fixture.run("build");
  std::string all;
  for (unsigned i = 0; i < 80; ++i) {
    const std::string piece = pattern(50'000, i);
    fixture.host.write(id, piece);
    all += piece;
  }
  // It stops by itself, a window ahead of what was acknowledged.
  REQUIRE(becomes([&] { return fixture.master.spool(id).size() > (std::size_t{1} << 20) - 60'000; }));
  const std::size_t first = fixture.master.spool(id).size();
  CHECK(first <= std::size_t{1} << 20);
  fixture.master.acknowledge_spool(id);
  REQUIRE(becomes([&] { return fixture.master.spool(id).size() > first + (1U << 20) - 60'000; }));

  fixture.master.cut();
  fixture.master.wait<AgentHello>();
  CHECK(fixture.master.wait_of<SpoolPart>(id).offset == first);
  fixture.master.acknowledge_spools(true);
  fixture.master.acknowledge_spool(id);
  fixture.host.end(id, AttemptState::kSucceeded);
  const auto result = fixture.master.wait_of<AttemptResult>(id);
  CHECK(result.spool_end == fixture.master.spool(id).size());
  CHECK(output_of(fixture.master.spool(id)) == all);
}

TEST_CASE("a master that lost bytes that it never acknowledged gets them again") {
  AgentFixture fixture;
  fixture.master.acknowledge_spools(false);
  fixture.start();
  const std::string id = fixture.run("build");
  fixture.host.write(id, "one");
  const auto part = fixture.master.wait_of<SpoolPart>(id);
  fixture.master.send(SpoolAck{id, part.offset + part.bytes.size()});
  fixture.host.write(id, "two");
  CHECK(fixture.master.wait_of<SpoolPart>(id).offset == part.bytes.size());
  // In the middle of a record, as after a crash in the middle of a write.
  fixture.master.send(SpoolAck{id, 5});
  const auto again = fixture.master.wait_of<SpoolPart>(id);
  CHECK(again.offset == 5);
  CHECK(again.bytes == fixture.master.spool(id).substr(5));
}

TEST_CASE("a long output is given back to the disk where it is acknowledged, and survives a restart") {
  AgentFixture fixture;
  fixture.start();
  const std::string id = fixture.run("build");
  std::string all;
  const auto write = [&](unsigned from, unsigned to) {
    for (unsigned i = from; i < to; ++i) {
      const std::string piece = pattern(64 << 10, i);
      fixture.host.write(id, piece);
      all += piece;
    }
  };
  write(0, 80);  // 5 MiB
  REQUIRE(fixture.master.wait_spool(id, 5 << 20));
  struct stat info {};
  CHECK(becomes([&] {
    REQUIRE(::stat(fixture.host.plan(id).files.spool().c_str(), &info) == 0);
    return info.st_blocks * 512 < 2 << 20;
  }));
  CHECK(info.st_size > 5 << 20);
  fixture.crash();
  write(80, 100);
  fixture.start();
  fixture.host.end(id, AttemptState::kSucceeded);
  const auto result = fixture.master.wait_of<AttemptResult>(id);
  CHECK(result.state == AttemptState::kSucceeded);
  CHECK(output_of(fixture.master.spool(id)) == all);
  CHECK(fixture.master.heard<SpoolPart>().back().bytes.size() <= 256 << 10);
}

TEST_CASE("cancel ends what waits, what starts and what runs, and tells again what has ended") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 1;
  fixture.start();
  const std::string running = fixture.run("a");
  const std::string waiting = fixture.accept("b");

  fixture.master.send(CancelAttempt{waiting, "not needed"});
  const auto before = fixture.master.wait_of<AttemptResult>(waiting);
  CHECK(before.state == AttemptState::kCancelled);
  CHECK(before.spool_end == 0);
  CHECK(message_of(before) == "not needed");

  fixture.master.acknowledge_results(false);
  fixture.master.send(CancelAttempt{running, "stop it"});
  CHECK(fixture.master.wait_of<AttemptResult>(running).state == AttemptState::kCancelled);
  CHECK(fixture.host.cancel_reason(running) == "stop it");
  fixture.master.send(CancelAttempt{running, "again"});
  CHECK(message_of(fixture.master.wait_of<AttemptResult>(running)) == "stop it");

  const std::string unknown = attempt_id(fixture.key("never offered"));
  fixture.master.send(CancelAttempt{unknown, "gone"});
  CHECK(fixture.master.wait_of<AttemptResult>(unknown).state == AttemptState::kCancelled);
  CHECK(fixture.host.starts() == 1);
}

TEST_CASE("F20: a process that does not obey a cancel is not reported until it is gone") {
  AgentFixture fixture;
  fixture.host.ignore_cancel(true);
  fixture.start();
  const std::string id = fixture.run("a");
  fixture.master.send(CancelAttempt{id, "stop"});
  REQUIRE(becomes([&] { return fixture.host.cancel_reason(id).has_value(); }));
  fixture.master.send(fixture.offer(fixture.key("a")));
  CHECK(fixture.master.wait_of<OfferAnswer>(id).state == AttemptState::kRunning);
  CHECK(fixture.master.heard<AttemptResult>().empty());
  fixture.host.end(id, AttemptState::kCancelled, outcome(OutcomeKind::kCancelled, "stop"));
  CHECK(fixture.master.wait_of<AttemptResult>(id).state == AttemptState::kCancelled);
}

TEST_CASE("F21: of cancel against finish exactly one wins, and everybody agrees which") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 64;
  fixture.start();
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::set<std::string> ids;
  std::map<AttemptState, int> ends;
  for (int round = 0; round < 300; ++round) {
    const Offer offer = fixture.offer(fixture.key("task", round + 1));
    const std::string& id = offer.attempt;
    ids.insert(id);
    const unsigned dice = static_cast<unsigned>(random()) % 4;
    fixture.master.send(offer);
    // Before it is accepted, before it runs, and at about its end.
    if (dice == 0) fixture.master.send(CancelAttempt{id, "cancelled"});
    if (dice != 0) REQUIRE(fixture.host.wait_started(id));
    std::thread other([&] { fixture.host.end(id, AttemptState::kSucceeded); });
    if (dice > 1) fixture.master.send(CancelAttempt{id, "cancelled"});
    other.join();
    if (dice == 1) fixture.master.send(CancelAttempt{id, "cancelled"});
    const auto result = fixture.master.wait_of<AttemptResult>(id);
    ++ends[result.state];
    const bool cancelled = result.state == AttemptState::kCancelled;
    CHECK((cancelled || result.state == AttemptState::kSucceeded));
    CHECK_FALSE(fixture.host.runs(id));
    CHECK(fixture.host.starts(id) <= 1);
  }
  CHECK(ends[AttemptState::kSucceeded] + ends[AttemptState::kCancelled] == 300);
  std::map<std::string, AttemptState> first;
  for (const AttemptResult& result : fixture.master.heard<AttemptResult>()) {
    CHECK(ids.contains(result.attempt));
    CHECK(first.emplace(result.attempt, result.state).first->second == result.state);
  }
  fixture.drain_to_the_end();
}

TEST_CASE("F27: an agent that stood still believes nothing from before, and starts nothing") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 1;
  fixture.start();
  const std::string first = fixture.run("a");
  const std::string waiting = fixture.accept("b");
  const int dials = fixture.master.dials();
  fixture.clock.forward(std::chrono::seconds(60));
  fixture.host.end(first, AttemptState::kSucceeded);
  fixture.master.send(fixture.offer(fixture.key("c")));
  // A new link, on which the offer is made again.
  const AgentHello hello = fixture.master.wait<AgentHello>();
  CHECK(fixture.master.dials() == dials + 1);
  CHECK(std::none_of(hello.attempts.begin(), hello.attempts.end(),
                     [&](const AttemptReport& report) { return report.key.task == "c"; }));
  fixture.master.wait_of<AttemptStarted>(waiting);
  CHECK(fixture.host.starts() == 2);
  const std::string third = fixture.accept("c");
  fixture.host.end(waiting, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptStarted>(third);
}

TEST_CASE("an accepted attempt does not start while the master may have given the agent up") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 1;
  fixture.master.welcome_as({.lease_ms = 30'000, .heartbeat_ms = 600'000});
  fixture.start();
  const std::string first = fixture.run("a");
  const std::string waiting = fixture.accept("b");
  fixture.master.online(false);
  fixture.master.cut();
  fixture.clock.forward(std::chrono::seconds(31));
  fixture.host.end(first, AttemptState::kSucceeded);
  const int dials = fixture.master.dials();
  REQUIRE(becomes([&] { return fixture.master.dials() > dials + 5; }));
  CHECK(fixture.host.starts() == 1);
  fixture.master.online(true);
  fixture.master.wait_of<AttemptStarted>(waiting);
}

TEST_CASE("F29: a damaged spool makes its attempt interrupted, and no other") {
  AgentFixture fixture;
  fixture.start();
  const std::string damaged = fixture.run("a");
  const std::string sound = fixture.run("b");
  fixture.master.online(false);
  fixture.crash();
  for (const std::string& id : {damaged, sound}) {
    fixture.host.write(id, pattern(1000, 1));
    fixture.host.write(id, pattern(1000, 2));
    fixture.host.end(id, AttemptState::kSucceeded);
  }
  const std::string spool = fixture.path("attempts/" + damaged + "/spool");
  std::string bytes = *read_file(spool, 1 << 20);
  bytes[bytes.size() - 10] ^= 1;
  REQUIRE(write_file(spool, bytes));
  fixture.master.online(true);
  fixture.start();
  std::map<std::string, AttemptResult> results;
  while (results.size() < 2) {
    const auto result = fixture.master.wait<AttemptResult>();
    results[result.attempt] = result;
  }
  CHECK(results[sound].state == AttemptState::kSucceeded);
  CHECK(results[damaged].state == AttemptState::kInterrupted);
  CHECK(results[damaged].spool_end == 1009);
  CHECK(message_of(results[damaged]).find("damaged from byte 1009 on") != std::string::npos);
  CHECK(output_of(fixture.master.spool(damaged)) == pattern(1000, 1));
}

TEST_CASE("F30: with a full disk offers are refused for now, and what runs goes on") {
  AgentFixture fixture;
  fixture.options.journal_bytes = 120'000;
  fixture.options.policy.max_attempts = 1;
  fixture.start();
  const std::string running = fixture.run("a");
  std::vector<std::string> accepted;
  OfferAnswer refused;
  for (int i = 0; i < 500 && refused.reason.empty(); ++i) {
    const Offer offer = fixture.offer(fixture.key("filler-" + std::to_string(i) + std::string(2000, 'x')));
    fixture.master.send(offer);
    const auto answer = fixture.master.wait_of<OfferAnswer>(offer.attempt);
    if (answer.state == AttemptState::kAccepted) {
      accepted.push_back(offer.attempt);
    } else {
      refused = answer;
    }
  }
  CHECK(refused.state == AttemptState::kRefused);
  CHECK(refused.reason == "no space on " + fixture.options.directory);
  CHECK(refused.may_retry);
  REQUIRE(!accepted.empty());
  CHECK(becomes([&] { return !exists(fixture.path("attempts/" + refused.attempt)); }));

  fixture.host.write(running, "still here");
  REQUIRE(fixture.master.wait_spool(running, 10));
  fixture.host.end(running, AttemptState::kSucceeded);
  CHECK(fixture.master.wait_of<AttemptResult>(running).state == AttemptState::kSucceeded);
  for (const std::string& id : accepted) {
    REQUIRE(fixture.host.wait_started(id));
    fixture.host.end(id, AttemptState::kSucceeded);
    CHECK(fixture.master.wait_of<AttemptResult>(id).state == AttemptState::kSucceeded);
  }
  // There is room again.
  fixture.run("later");
}

TEST_CASE("F35: a start that fails for lack of something is tried again, and is no start") {
  AgentFixture fixture;
  fixture.start();
  const Error again{Code::kLimit, "cannot start process: EAGAIN"};
  SECTION("and works when there is enough") {
    fixture.host.fail_starts(2, again);
    const std::string id = fixture.accept("a");
    fixture.master.wait_of<AttemptStarted>(id);
    CHECK(fixture.master.heard<AttemptStarted>().size() == 1);
    CHECK(fixture.host.starts(id) == 1);
  }
  SECTION("and a crash in between finds it accepted, or cannot tell") {
    fixture.host.fail_starts(1000, again);
    const std::string id = fixture.accept("a");
    fixture.accept("b");
    fixture.crash();
    fixture.host.fail_starts(0, again);
    const AgentHello hello = fixture.start();
    const auto report = std::find_if(hello.attempts.begin(), hello.attempts.end(),
                                     [&](const AttemptReport& one) { return one.attempt == id; });
    REQUIRE(report != hello.attempts.end());
    if (report->state == AttemptState::kAccepted) {
      REQUIRE(fixture.host.wait_started(id));
      fixture.host.end(id, AttemptState::kSucceeded);
      CHECK(fixture.master.wait_of<AttemptResult>(id).state == AttemptState::kSucceeded);
    } else {
      CHECK(fixture.master.wait_of<AttemptResult>(id).state == AttemptState::kInterrupted);
      CHECK(fixture.host.starts(id) == 0);
    }
  }
  SECTION("and fails by that name in the end") {
    fixture.host.fail_starts(1000, again);
    const std::string id = fixture.accept("a");
    const auto result = fixture.master.wait_of<AttemptResult>(id);
    CHECK(result.state == AttemptState::kFailed);
    CHECK(message_of(result) == "cannot start process: EAGAIN");
    CHECK(fixture.master.heard<AttemptStarted>().empty());
  }
  SECTION("and another reason fails at once") {
    fixture.host.fail_starts(1, {Code::kIo, "cannot run it"});
    CHECK(message_of(fixture.master.wait_of<AttemptResult>(fixture.accept("a"))) == "cannot run it");
  }
}

TEST_CASE("F10: a draining agent refuses offers, beats on, ends its work and says goodbye") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 1;
  fixture.start();
  const std::string running = fixture.run("a");
  const std::string waiting = fixture.accept("b");
  std::promise<void> drained;
  fixture.agent->drain([&] { drained.set_value(); });
  const auto beat = fixture.master.wait<Heartbeat>();
  CHECK(beat.draining);
  CHECK(beat.running == 1);
  fixture.master.send(fixture.offer(fixture.key("c")));
  const auto answer = fixture.master.wait<OfferAnswer>();
  CHECK(answer.state == AttemptState::kRefused);
  CHECK(answer.reason == "draining");
  CHECK(answer.may_retry);
  fixture.host.end(running, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptStarted>(waiting);
  fixture.host.end(waiting, AttemptState::kSucceeded);
  fixture.master.wait_of<AttemptResult>(waiting);
  fixture.master.wait<Goodbye>();
  CHECK(drained.get_future().wait_for(kMasterPatience) == std::future_status::ready);
}

TEST_CASE("F11: cancel_all ends a drain, and each attempt is cancelled for the reason given") {
  AgentFixture fixture;
  fixture.start();
  const std::string a = fixture.run("a");
  const std::string b = fixture.run("b");
  std::promise<void> drained;
  fixture.agent->drain([&] {
    fixture.agent.reset();  // allowed here
    drained.set_value();
  });
  fixture.agent->cancel_all("drain");
  CHECK(drained.get_future().wait_for(kMasterPatience) == std::future_status::ready);
  std::map<std::string, AttemptState> ends;
  for (const AttemptResult& result : fixture.master.heard<AttemptResult>()) {
    ends[result.attempt] = result.state;
    CHECK(message_of(result) == "drain");
  }
  CHECK(ends ==
        std::map<std::string, AttemptState>{{a, AttemptState::kCancelled}, {b, AttemptState::kCancelled}});
  CHECK(fixture.master.heard<Goodbye>().size() == 1);
}

TEST_CASE(
    "without a master a drain ends when nothing has run for a while, and the results stay for the next "
    "agent") {
  AgentFixture fixture;
  fixture.options.drain_alone = std::chrono::milliseconds(50);
  fixture.start();
  const std::string id = fixture.run("a");
  fixture.master.online(false);
  fixture.master.cut();
  std::promise<void> drained;
  fixture.agent->drain([&] { drained.set_value(); });
  fixture.host.end(id, AttemptState::kSucceeded);
  CHECK(drained.get_future().wait_for(kMasterPatience) == std::future_status::ready);
  fixture.crash();
  fixture.master.online(true);
  fixture.start();
  CHECK(fixture.master.wait_of<AttemptResult>(id).state == AttemptState::kSucceeded);
}

TEST_CASE("workspaces of what did not succeed are kept, named, and the oldest go") {
  AgentFixture fixture;
  fixture.start();
  std::vector<std::string> ids;
  for (int i = 0; i < 53; ++i) {
    ids.push_back(fixture.run("task-" + std::to_string(i)));
    fixture.host.end(ids.back(), AttemptState::kFailed, outcome(OutcomeKind::kFailed, "no"));
    const auto result = fixture.master.wait_of<AttemptResult>(ids.back());
    auto decoded = decode_outcome(result.outcome);
    REQUIRE(decoded);
    CHECK(decoded->warnings ==
          std::vector<std::string>{"its workspace is kept: " + fixture.path("work/" + ids.back())});
    REQUIRE(becomes([&] { return !exists(fixture.path("attempts/" + ids.back())); }));
  }
  REQUIRE(becomes([&] { return !exists(fixture.path("work/" + ids[2])); }));
  const auto kept = [&] { return list_directory(fixture.path("work"))->size(); };
  CHECK(kept() == 50);
  CHECK(exists(fixture.path("work/" + ids[3])));
  fixture.crash();
  fixture.start();
  CHECK(kept() == 50);
}

TEST_CASE("a directory has one agent at a time") {
  AgentFixture fixture;
  fixture.start();
  auto second = Agent::open(fixture.options, {fixture.executor, fixture.clock, fixture.master, fixture.host});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::kUnavailable);
  CHECK(second.error().message.find(std::to_string(::getpid())) != std::string::npos);
  fixture.run("a");
}

TEST_CASE("F29: an agent does not start over a damaged journal, and leaves it as it is") {
  AgentFixture fixture;
  fixture.start();
  fixture.run("a");
  fixture.crash();
  const std::string journal = fixture.path("journal.db");
  std::filesystem::remove(journal + "-wal");
  std::filesystem::remove(journal + "-shm");
  std::string bytes;
  SECTION("overwritten") { bytes = pattern(8192, 3); }
  SECTION("emptied") { bytes = ""; }
  REQUIRE(write_file(journal, bytes));
  auto opened = Agent::open(fixture.options, {fixture.executor, fixture.clock, fixture.master, fixture.host});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::kInvalid);
  CHECK(opened.error().message.find(journal) != std::string::npos);
  CHECK(*read_file(journal, 1 << 20) == bytes);
}

TEST_CASE("attempts of many links, cut at random, each start once, end once and lose no byte") {
  AgentFixture fixture;
  fixture.options.policy.max_attempts = 8;
  fixture.start();
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::map<std::string, std::string> written;
  std::map<std::string, Offer> offers;
  for (int i = 0; i < 8; ++i) {
    const Offer offer = fixture.offer(fixture.key("task-" + std::to_string(i)));
    offers[offer.attempt] = offer;
  }
  for (const auto& [id, offer] : offers) {
    // Offered until answered, as a master does.
    while (fixture.host.starts(id) == 0) {
      fixture.master.send(offer);
      if (random() % 3 == 0) {
        fixture.master.cut();
        fixture.master.wait<AgentHello>();
      } else {
        fixture.master.wait_of<OfferAnswer>(id);
        REQUIRE(fixture.host.wait_started(id));
      }
    }
  }
  for (int step = 0; step < 400; ++step) {
    const auto at = std::next(offers.begin(), static_cast<std::ptrdiff_t>(random() % offers.size()));
    const std::string piece = pattern(random() % 30'000, static_cast<unsigned>(step));
    fixture.host.write(at->first, piece);
    written[at->first] += piece;
    if (random() % 40 == 0) fixture.master.cut();
    if (random() % 130 == 0) {
      fixture.crash();
      fixture.open();
    }
  }
  for (const auto& [id, offer] : offers) fixture.host.end(id, AttemptState::kSucceeded);
  std::set<std::string> home;
  while (home.size() < offers.size()) home.insert(fixture.master.wait<AttemptResult>().attempt);
  for (const auto& [id, offer] : offers) {
    CHECK(fixture.host.starts(id) == 1);
    CHECK(output_of(fixture.master.spool(id)) == written[id]);
  }
}

}  // namespace sloth
