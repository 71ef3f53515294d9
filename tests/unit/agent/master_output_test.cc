// Output on its way: bounded, resumed anywhere, the same for everyone.
#include <algorithm>
#include <map>

#include "runner/os/file_tree.h"
#include "tests/unit/agent/master_fixture.h"

namespace sloth {
namespace {

constexpr std::size_t kPart = std::size_t{64} << 10;

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 31 + i / 251) & 0xff);
  return bytes;
}

// As an agent does: at most 1 MiB without an acknowledgement.
void send_all(Peer& agent, const std::string& id, const std::string& bytes) {
  std::size_t sent = 0;
  std::size_t acked = 0;
  while (acked < bytes.size()) {
    while (sent < bytes.size() && sent - acked < std::size_t{1} << 20) {
      agent.send(SpoolPart{id, sent, bytes.substr(sent, kPart)});
      sent = std::min(sent + kPart, bytes.size());
    }
    acked = agent.expect<SpoolAck>([&](const SpoolAck& ack) { return ack.attempt == id; }).offset;
  }
}

// Up to `end`, acknowledging everything.
std::string receive(Peer& run, const std::string& id, std::uint64_t from, std::uint64_t end) {
  std::string bytes;
  while (from + bytes.size() < end) {
    const auto part = run.expect<SpoolPart>([&](const SpoolPart& p) { return p.attempt == id; });
    REQUIRE(part.offset == from + bytes.size());
    bytes += part.bytes;
    run.send(SpoolAck{id, from + bytes.size()});
  }
  return bytes;
}

// F17.
TEST_CASE("a run that does not read holds up nobody, and gets every byte when it does") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer slow = fixture.run();
  Peer quick = fixture.run();
  const std::string bytes = pattern(std::size_t{5} << 20);
  const std::string id = MasterFixture::running(slow, agent, MasterFixture::key("build"));
  quick.send(Subscribe{id, 0});
  send_all(agent, id, bytes);
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, bytes.size()));
  agent.expect<ResultAck>();
  CHECK(receive(quick, id, 0, bytes.size()) == bytes);
  quick.expect<AttemptResult>();
  // The slow one was sent its MiB, and not a byte more.
  slow.settle();
  CHECK(slow.spool_bytes() <= std::size_t{1} << 20);
  CHECK(slow.count<AttemptResult>() == 0);
  std::size_t waiting = 0;
  std::string first;
  while (waiting < std::size_t{1} << 20) {
    const auto part = slow.expect<SpoolPart>();
    waiting += part.bytes.size();
    first += part.bytes;
  }
  slow.send(SpoolAck{id, waiting});
  CHECK(first + receive(slow, id, waiting, bytes.size()) == bytes);
  CHECK(slow.expect<AttemptResult>().spool_end == bytes.size());
}

TEST_CASE("a link never has more than its 8 MiB under way, however many attempts it follows") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string bytes = pattern(std::size_t{1} << 20);
  constexpr int kAttempts = 12;
  std::vector<std::string> ids;
  for (int i = 0; i < kAttempts; ++i) {
    ids.push_back(MasterFixture::running(run, agent, MasterFixture::key("task-" + std::to_string(i))));
    send_all(agent, ids.back(), bytes);
    agent.send(MasterFixture::result(ids.back(), AttemptState::kSucceeded, bytes.size()));
    agent.expect<ResultAck>();
  }
  run.settle();
  CHECK(run.spool_bytes() <= std::size_t{8} << 20);
  std::map<std::string, std::string> got;
  std::size_t total = 0;
  while (total < bytes.size() * kAttempts) {
    const auto part = run.expect<SpoolPart>();
    std::string& one = got[part.attempt];
    REQUIRE(part.offset == one.size());
    one += part.bytes;
    total += part.bytes.size();
    run.send(SpoolAck{part.attempt, one.size()});
  }
  for (const std::string& id : ids) CHECK(got[id] == bytes);
  for (int i = 0; i < kAttempts; ++i) run.expect<AttemptResult>();
}

TEST_CASE("two runs follow one attempt, each from where it wants") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  agent.send(SpoolPart{id, 0, "0123456789"});
  agent.expect<SpoolAck>();
  Peer second = fixture.run();
  second.send(Subscribe{id, 4});
  CHECK(receive(second, id, 4, 10) == "456789");
  CHECK(receive(run, id, 0, 10) == "0123456789");
  // And again, from another place, on the same link.
  second.send(Subscribe{id, 8});
  CHECK(receive(second, id, 8, 10) == "89");
  agent.send(SpoolPart{id, 10, "ab"});
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 12));
  CHECK(receive(second, id, 10, 12) == "ab");
  CHECK(receive(run, id, 10, 12) == "ab");
  run.expect<AttemptResult>();
  second.expect<AttemptResult>();
}

TEST_CASE("a run's link that breaks leaves its attempts alone, and the next one goes on anywhere") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  std::string id;
  {
    Peer run = fixture.run();
    id = MasterFixture::running(run, agent, MasterFixture::key("build"));
    run.wire().cut();
    run.expect_closed();
  }
  agent.send(SpoolPart{id, 0, "while nobody listened"});
  agent.expect<SpoolAck>();
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 21));
  agent.expect<ResultAck>();
  Peer run = fixture.run();
  run.send(Subscribe{id, 6});
  CHECK(receive(run, id, 6, 21) == "nobody listened");
  run.expect<AttemptResult>();
  CHECK(agent.count<CancelAttempt>() == 0);
}

TEST_CASE("parts that are known are cut or ignored, parts that are too far are asked for again") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  agent.send(SpoolPart{id, 5, "too far"});
  CHECK(agent.expect<SpoolAck>().offset == 0);
  agent.send(SpoolPart{id, 0, "hello"});
  CHECK(agent.expect<SpoolAck>().offset == 5);
  agent.send(SpoolPart{id, 0, "hello"});
  CHECK(agent.expect<SpoolAck>().offset == 5);
  agent.send(SpoolPart{id, 3, "lo world"});
  CHECK(agent.expect<SpoolAck>().offset == 11);
  agent.send(SpoolPart{id, 11, ""});
  CHECK(agent.expect<SpoolAck>().offset == 11);
  CHECK(fixture.spool(id) == "hello world");
}

TEST_CASE("a result waits for the output before it") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, 4));
  agent.send(SpoolPart{id, 0, "ab"});
  CHECK(agent.expect<SpoolAck>().offset == 2);
  run.settle();
  CHECK(agent.count<ResultAck>() == 0);
  agent.send(SpoolPart{id, 2, "cd"});
  agent.expect<ResultAck>();
  CHECK(run.expect<AttemptResult>().spool_end == 4);
}

// F15.
TEST_CASE("a link of an agent cut in the middle of its output loses and doubles nothing") {
  MasterFixture fixture;
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  const std::string bytes = pattern(std::size_t{3} << 20);
  std::string id;
  std::uint64_t acked = 0;
  {
    Peer agent = fixture.agent("web-1");
    id = MasterFixture::running(run, agent, key);
    for (std::size_t at = 0; at < std::size_t{1} << 20; at += kPart) {
      agent.send(SpoolPart{id, at, bytes.substr(at, kPart)});
    }
    acked = agent.expect<SpoolAck>().offset;
    agent.wire().cut();
  }
  Peer agent = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
  std::size_t at = acked;
  while (at < bytes.size()) {
    agent.send(SpoolPart{id, at, bytes.substr(at, kPart)});
    at += kPart;
    while (agent.expect<SpoolAck>().offset < std::min(at, bytes.size())) {
    }
  }
  agent.send(MasterFixture::result(id, AttemptState::kSucceeded, bytes.size()));
  agent.expect<ResultAck>();
  CHECK(receive(run, id, 0, bytes.size()) == bytes);
  CHECK(fixture.spool(id) == bytes);
}

// F12.
TEST_CASE("a short partition is seen by nobody but as a delay") {
  MasterFixture fixture;
  Peer agent = fixture.agent("web-1");
  Peer run = fixture.run();
  const std::string id = MasterFixture::running(run, agent, MasterFixture::key("build"));
  agent.wire().hold(LinkEnd::kA);
  agent.wire().hold(LinkEnd::kB);
  agent.send(SpoolPart{id, 0, "in the dark"});
  run.settle();
  CHECK(run.count<SpoolPart>() == 0);
  agent.wire().release(LinkEnd::kB);
  CHECK(receive(run, id, 0, 11) == "in the dark");
  agent.wire().release(LinkEnd::kA);
  CHECK(agent.expect<SpoolAck>().offset == 11);
  CHECK(run.count<AttemptStatus>([](const AttemptStatus& s) { return s.state == AttemptState::kUnknown; }) ==
        0);
}

// F32: nothing is acknowledged that is not on the disk.
TEST_CASE("output that cannot be written is not acknowledged, and the agent is told to come again") {
  MasterFixture fixture;
  Peer run = fixture.run();
  const AttemptKey key = MasterFixture::key("build");
  const std::string file = fixture.directory() + "/spools/" + attempt_id(key);
  {
    Peer agent = fixture.agent("web-1");
    const std::string id = MasterFixture::running(run, agent, key);
    REQUIRE(make_directory(file));
    agent.send(SpoolPart{id, 0, "lost"});
    const auto rejected = agent.expect_rejected();
    CHECK_FALSE(rejected.permanent);
    CHECK(rejected.reason.find(file) != std::string::npos);
    CHECK(agent.count<SpoolAck>() == 0);
  }
  REQUIRE(remove_path(file, false));
  Peer agent = fixture.agent("web-1", {MasterFixture::report(key, AttemptState::kRunning)});
  agent.send(SpoolPart{attempt_id(key), 0, "found"});
  CHECK(agent.expect<SpoolAck>().offset == 5);
  CHECK(receive(run, attempt_id(key), 0, 5) == "found");
}

}  // namespace
}  // namespace sloth
