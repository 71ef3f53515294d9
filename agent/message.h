// Message: one frame between an agent or a run and the master, as plain data. `wire` turns it into bytes and back.
//
// A value. Nothing in it assumes who dialled whom. Names of agents, tasks and runs are checked by `wire`.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "agent/attempt_state.h"

namespace sloth {

inline constexpr int kProtocolVersion = 1;

// ---- both ways -----------------------------------------------------------------------------------------------------

// Content by digest, in parts of at most 256 KiB, in order; `last` ends it.
struct ContentPart {
  std::string digest;
  std::uint64_t offset = 0;
  std::string bytes;
  bool last = false;
};
// "Send me these."
struct ContentWanted {
  std::vector<std::string> digests;
};
// A part of an attempt's spool (spool.h), from `offset` on; at most 256 KiB.
struct SpoolPart {
  std::string attempt;
  std::uint64_t offset = 0;
  std::string bytes;
};
// Everything before `offset` is safe with the sender of this.
struct SpoolAck {
  std::string attempt;
  std::uint64_t offset = 0;
};
// One end of an attempt. `outcome` is encode_outcome(); the spool ends at `spool_end`.
struct AttemptResult {
  std::string attempt;
  AttemptState state = AttemptState::kFailed;
  std::string outcome;
  std::uint64_t spool_end = 0;
};
// The result is safe with the sender of this.
struct ResultAck {
  std::string attempt;
};
struct CancelAttempt {
  std::string attempt;
  std::string reason;
};
// The other side may not go on; it closes after this. Shown to people.
struct Rejected {
  std::string reason;
  bool permanent = false;  // trying again cannot help
};

// ---- an agent to the master ----------------------------------------------------------------------------------------

struct AttemptReport {
  std::string attempt;
  std::string digest;  // of its bundle's request
  AttemptKey key;
  AttemptState state = AttemptState::kAccepted;
};
struct AgentHello {
  int protocol = kProtocolVersion;
  std::string version;       // of the program
  std::string name;
  std::string key;           // made once per agent, kept in its journal: tells two agents of one name apart
  std::string host;
  std::int64_t pid = 0;
  int max_attempts = 0;
  bool draining = false;
  std::vector<AttemptReport> attempts;  // all that are not forgotten yet
};
// Renews the lease of the agent and of all its attempts.
struct Heartbeat {
  bool draining = false;
  int running = 0;
};
// The answer to an offer, again for each repeated one.
struct OfferAnswer {
  std::string attempt;
  AttemptState state = AttemptState::kAccepted;  // what the journal says; kRefused: nothing was started
  std::string reason;                            // of a refusal: "draining", "no space", "superseded" ...
  bool may_retry = false;                        // of a refusal: another offer later may be accepted
};
struct AttemptStarted {
  std::string attempt;
};
// The agent leaves and wants to be seen as offline, not as lost.
struct Goodbye {};

// ---- the master to an agent ----------------------------------------------------------------------------------------

struct AgentWelcome {
  std::int64_t lease_ms = 30'000;      // of silence, then its attempts are unknown
  std::int64_t heartbeat_ms = 10'000;
};
struct Offer {
  std::string attempt;
  AttemptKey key;
  std::string digest;   // sha256 of `request`
  std::string request;  // encoded bundle request
};
struct DrainAgent {};

// ---- a run to the master -------------------------------------------------------------------------------------------

struct RunHello {
  int protocol = kProtocolVersion;
  std::string version;
  std::string run;  // "" for a caller that only asks
};
// Idempotent: the same id and digest again is the same attempt. All blobs are asked for by ContentWanted when needed.
struct Submit {
  std::string attempt;
  AttemptKey key;
  std::string digest;
  std::string request;
  std::vector<std::string> blobs;     // digests
  std::int64_t queue_ms = 300'000;    // longest wait for the agent
  std::int64_t lost_ms = 600'000;     // unknown for that long is lost
};
// From now on: its states, its spool from `offset`, its result. Parts wait for acks: at most 1 MiB is under way.
struct Subscribe {
  std::string attempt;
  std::uint64_t offset = 0;
};
// Every attempt of a run: answered by RunAttempts.
struct ListAttempts {
  std::string run;
};
struct ListAgents {};
// Asks an agent to drain / forgets a name whose agent is not connected.
struct AgentCommand {
  enum class Kind { kDrain, kRemove } kind = Kind::kDrain;
  std::string name;
};

// ---- the master to a run -------------------------------------------------------------------------------------------

struct RunWelcome {
  std::string version;
};
struct AttemptStatus {
  std::string attempt;
  AttemptState state = AttemptState::kQueued;
  std::string detail;  // "agent web-1 is offline since 12 s", the reason of a refusal
};
struct AttemptSummary {
  std::string attempt;
  AttemptKey key;
  AttemptState state = AttemptState::kQueued;
};
struct RunAttempts {
  std::string run;
  std::vector<AttemptSummary> attempts;
};
struct AgentInfo {
  std::string name;
  std::string version;
  std::string host;
  std::int64_t pid = 0;
  bool connected = false;
  bool draining = false;
  int running = 0;
  int queued = 0;
  int max_attempts = 0;
  std::int64_t last_seen_ms = 0;  // wall clock
};
struct Agents {
  std::vector<AgentInfo> agents;  // by name
};
// The answer to AgentCommand; `error` is empty when it was done.
struct CommandAnswer {
  std::string name;
  std::string error;
};

using Message =
    std::variant<ContentPart, ContentWanted, SpoolPart, SpoolAck, AttemptResult, ResultAck, CancelAttempt, Rejected,
                 AgentHello, Heartbeat, OfferAnswer, AttemptStarted, Goodbye, AgentWelcome, Offer, DrainAgent, RunHello,
                 Submit, Subscribe, ListAttempts, ListAgents, AgentCommand, RunWelcome, AttemptStatus, RunAttempts,
                 Agents, CommandAnswer>;

// Its name for logs: "Offer".
const char* message_name(const Message& message);

}  // namespace sloth
