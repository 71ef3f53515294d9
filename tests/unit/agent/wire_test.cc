#include "agent/wire.h"

#include <catch2/catch.hpp>

#include <random>

#include "agent/digest.h"

namespace sloth::test {
namespace {

const AttemptKey kKey{"run-1", "build all", "web-1", 3};

// One of each kind, no field at its default.
std::vector<Message> one_of_each() {
  const std::string id = attempt_id(kKey);
  const std::string digest = sha256("x");
  const std::string bytes("\0\xff\n half", 8);
  AgentHello hello;
  hello.version = "0.1.0";
  hello.name = "web-1";
  hello.key = "k1";
  hello.host = "host";
  hello.pid = 77;
  hello.max_attempts = 4;
  hello.draining = true;
  hello.attempts = {{id, digest, kKey, AttemptState::kRunning}, {id, digest, kKey, AttemptState::kLost}};
  Submit submit;
  submit.attempt = id;
  submit.key = kKey;
  submit.digest = digest;
  submit.request = bytes;
  submit.blobs = {digest};
  submit.queue_ms = 1;
  submit.lost_ms = 2;
  AgentInfo info{"web-1", "0.1.0", "host", 7, true, true, 1, 2, 3, 4};
  return {ContentPart{digest, 5, bytes, true},
          ContentWanted{{digest, sha256("y")}},
          SpoolPart{id, 1'000'000'000'000ULL, bytes},
          SpoolAck{id, 9},
          AttemptResult{id, AttemptState::kTimedOut, bytes, 12},
          ResultAck{id},
          CancelAttempt{id, "why\n"},
          Rejected{"no", true},
          hello,
          Heartbeat{true, 3},
          OfferAnswer{id, AttemptState::kRefused, "full", true},
          AttemptStarted{id},
          Goodbye{},
          AgentWelcome{1000, 300},
          Offer{id, kKey, digest, bytes},
          DrainAgent{},
          RunHello{kProtocolVersion, "0.1.0", "run-1"},
          submit,
          Subscribe{id, 4},
          ListAttempts{"run-1"},
          ListAgents{},
          AgentCommand{AgentCommand::Kind::kRemove, "web-1"},
          RunWelcome{"0.1.0"},
          AttemptStatus{id, AttemptState::kUnknown, "since 3 s"},
          RunAttempts{"run-1", {{id, kKey, AttemptState::kSucceeded}}},
          Agents{{info}},
          CommandAnswer{"web-1", "busy"}};
}

TEST_CASE("every message comes back as it was sent") {
  const auto messages = one_of_each();
  REQUIRE(messages.size() == std::variant_size_v<Message>);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    INFO(message_name(messages[i]));
    REQUIRE(messages[i].index() == i);
    const std::string bytes = encode_message(messages[i]);
    const auto back = decode_message(bytes);
    REQUIRE(back.ok());
    CHECK(back->index() == i);
    CHECK(encode_message(*back) == bytes);
  }
}

TEST_CASE("fields of a message survive the wire") {
  const auto messages = one_of_each();
  const auto hello = std::get<AgentHello>(*decode_message(encode_message(messages[8])));
  CHECK(hello.attempts.size() == 2);
  CHECK(hello.attempts[1].state == AttemptState::kLost);
  CHECK(hello.attempts[0].key == kKey);
  CHECK(hello.pid == 77);
  const auto part = std::get<SpoolPart>(*decode_message(encode_message(messages[2])));
  CHECK(part.offset == 1'000'000'000'000ULL);
  CHECK(part.bytes == std::string("\0\xff\n half", 8));
  const auto info = std::get<Agents>(*decode_message(encode_message(messages[25]))).agents.at(0);
  CHECK(info.queued == 2);
  CHECK(info.last_seen_ms == 4);
}

TEST_CASE("a message with a wrong field is refused by name") {
  const auto wrong = [](Message message) {
    const auto read = decode_message(encode_message(message));
    return read ? std::string("accepted") : read.error().message;
  };
  CHECK(wrong(SpoolAck{"../../etc/passwd", 0}) == "SpoolAck: wrong attempt");
  CHECK(wrong(ContentPart{"ab", 0, "", true}) == "ContentPart: wrong digest");
  CHECK(wrong(AgentCommand{AgentCommand::Kind::kDrain, "-x"}) == "AgentCommand: wrong name");
  CHECK(wrong(ListAttempts{"a/b"}) == "ListAttempts: wrong run");
  CHECK(wrong(AgentWelcome{1000, 0}) == "AgentWelcome: wrong heartbeat_ms");
  CHECK(wrong(AttemptResult{attempt_id(kKey), AttemptState::kRunning, "", 0}) == "AttemptResult: wrong state");
  Submit other;
  other.attempt = attempt_id({"run-2", "t", "a", 1});
  other.key = kKey;
  other.digest = sha256("");
  CHECK(wrong(other) == "Submit: wrong attempt");
}

TEST_CASE("random and damaged bytes are an error, never a crash") {
  std::mt19937 random(20261124);
  const auto messages = one_of_each();
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    if (round % 2 == 0) {
      bytes.resize(random() % 64);
      for (char& c : bytes) c = static_cast<char>(random());
    } else {
      bytes = encode_message(messages[random() % messages.size()]);
      for (int flips = 0; flips < 3 && !bytes.empty(); ++flips) bytes[random() % bytes.size()] = static_cast<char>(random());
      if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
    }
    if (decode_message(bytes)) ++accepted;
  }
  CHECK(accepted < 20'000);
  CHECK_FALSE(decode_message("").ok());
}

TEST_CASE("names are those of one grammar") {
  CHECK(is_name("web-1.example_2"));
  for (const char* bad : {"", "-x", ".x", "a/b", "a b", "a:1", "\n"}) CHECK_FALSE(is_name(bad));
  CHECK_FALSE(is_name(std::string(64, 'a')));
  CHECK(is_attempt_id(attempt_id(kKey)));
  CHECK(attempt_id(kKey) != attempt_id({"run-1", "build all", "web-1", 4}));
  CHECK(attempt_id({"a", "b|1:c", "d", 1}) != attempt_id({"a", "b", "c|d", 1}));
}

}  // namespace
}  // namespace sloth::test
