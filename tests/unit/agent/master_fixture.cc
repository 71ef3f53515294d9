#include "tests/unit/agent/master_fixture.h"

#include <algorithm>

#include "runner/os/file_tree.h"
#include "runner/store/sqlite.h"

namespace sloth {
namespace {

std::chrono::steady_clock::time_point deadline() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(30);
}

}  // namespace

Peer::Peer(Executor& executor, Master& master, Role role) {
  LinkPair pair = make_memory_link(executor);
  link_ = std::move(pair.a);
  wire_ = std::move(pair.wire);
  link_->open({[state = state_](Message message) {
                 MutexLock lock(state->mutex);
                 state->inbox.push_back(std::move(message));
                 state->changed.notify_all();
               },
               [state = state_](const std::string&) {
                 MutexLock lock(state->mutex);
                 state->closed = true;
                 state->changed.notify_all();
               }});
  master.accept(role, std::move(pair.b));
}

void Peer::wait(const std::function<bool(std::deque<Message>&)>& done) {
  const auto until = deadline();
  std::string seen;
  {
    MutexLock lock(state_->mutex);
    while (true) {
      if (done(state_->inbox)) return;
      if (!state_->changed.wait_until(state_->mutex, until)) break;
    }
    for (const Message& message : state_->inbox) seen += std::string(" ") + message_name(message);
    if (state_->closed) seen += " (closed)";
  }
  FAIL("the message did not come; here are:" << seen);
}

AttemptStatus Peer::expect_state(const std::string& attempt, AttemptState state) {
  INFO("attempt becomes " << attempt_state_name(state));
  return expect<AttemptStatus>(
      [&](const AttemptStatus& status) { return status.attempt == attempt && status.state == state; });
}

Rejected Peer::expect_rejected() {
  auto rejected = expect<Rejected>();
  expect_closed();
  return rejected;
}

void Peer::expect_closed() {
  const auto until = deadline();
  bool closed = false;
  {
    MutexLock lock(state_->mutex);
    while (!state_->closed && state_->changed.wait_until(state_->mutex, until)) {
    }
    closed = state_->closed;
  }
  REQUIRE(closed);
}

void Peer::settle() {
  send(ListAgents{});
  expect<Agents>();
}

MasterFixture::MasterFixture(Master::Options options) : options_(std::move(options)) {
  auto made = make_temp_directory("sloth_master_");
  REQUIRE(made);
  options_.directory = *made + "/master";
  options_.version = "1.2.3";
  restart();
}

MasterFixture::~MasterFixture() {
  master_.reset();
  executor_.stop();
  check_journal();
  static_cast<void>(remove_path(options_.directory.substr(0, options_.directory.rfind('/')), true));
}

void MasterFixture::restart() {
  master_.reset();
  auto opened = Master::open(options_, executor_, clock_);
  if (!opened) FAIL(opened.error().message);
  master_ = std::move(*opened);
}

AgentHello MasterFixture::hello(const std::string& name, std::vector<AttemptReport> attempts,
                                const std::string& key) const {
  AgentHello hello;
  hello.version = "1.2.3";
  hello.name = name;
  hello.key = key;
  hello.host = "a-host";
  hello.pid = 4711;
  hello.max_attempts = 4;
  hello.attempts = std::move(attempts);
  return hello;
}

Peer MasterFixture::agent(const std::string& name, std::vector<AttemptReport> attempts,
                          const std::string& key) {
  Peer peer = connect(Role::kAgent);
  peer.send(hello(name, std::move(attempts), key));
  peer.expect<AgentWelcome>();
  return peer;
}

Peer MasterFixture::run() {
  Peer peer = connect(Role::kRun);
  peer.send(RunHello{kProtocolVersion, "1.2.3", "run-1"});
  peer.expect<RunWelcome>();
  return peer;
}

AttemptKey MasterFixture::key(const std::string& task, int number, const std::string& agent) {
  return {"run-1", task, agent, number};
}

Submit MasterFixture::submit(const AttemptKey& key, const std::string& request) {
  Submit submit;
  submit.attempt = attempt_id(key);
  submit.key = key;
  submit.digest = sha256(request);
  submit.request = request;
  return submit;
}

AttemptReport MasterFixture::report(const AttemptKey& key, AttemptState state, const std::string& request) {
  return {attempt_id(key), sha256(request), key, state};
}

std::string MasterFixture::running(Peer& run, Peer& agent, const AttemptKey& key) {
  const std::string id = attempt_id(key);
  run.send(submit(key));
  run.send(Subscribe{id, 0});
  agent.expect<Offer>([&](const Offer& offer) { return offer.attempt == id; });
  agent.send(OfferAnswer{id, AttemptState::kRunning, "", false});
  run.expect_state(id, AttemptState::kRunning);
  return id;
}

AttemptResult MasterFixture::result(const std::string& attempt, AttemptState state, std::uint64_t spool_end,
                                    const std::string& outcome) {
  return {attempt, state, outcome, spool_end};
}

std::vector<std::string> MasterFixture::steps(const std::string& attempt) {
  auto database = Database::open(options_.directory + "/master.db", {.label = "journal"});
  REQUIRE(database);
  auto rows = (*database)->prepare("SELECT state FROM steps WHERE attempt = ? ORDER BY row");
  REQUIRE(rows);
  rows->bind_text(1, attempt);
  std::vector<std::string> states;
  while (*rows->step()) states.push_back(rows->bytes(0));
  return states;
}

std::int64_t MasterFixture::number(const std::string& sql) {
  auto database = Database::open(options_.directory + "/master.db", {.label = "journal"});
  REQUIRE(database);
  auto found = (*database)->query_integer(sql);
  REQUIRE(found);
  return *found;
}

std::string MasterFixture::spool(const std::string& attempt) const {
  return read_file(options_.directory + "/spools/" + attempt, std::uint64_t{1} << 30).ok()
             ? *read_file(options_.directory + "/spools/" + attempt, std::uint64_t{1} << 30)
             : "";
}

// States only go on, but that what was proven not started may be offered again; nothing follows an end.
void MasterFixture::check_journal() {
  auto database = Database::open(options_.directory + "/master.db", {.label = "journal"});
  if (!database) return;
  auto rows = (*database)->prepare("SELECT attempt, state FROM steps ORDER BY attempt, row");
  if (!rows) return;
  std::string attempt;
  AttemptState last = AttemptState::kQueued;
  while (*rows->step()) {
    const auto state = parse_attempt_state(rows->bytes(1));
    CHECK(state);
    if (!state) return;
    const bool first = rows->bytes(0) != attempt;
    INFO("attempt " << rows->bytes(0) << ": " << attempt_state_name(last) << " -> "
                    << attempt_state_name(*state));
    if (!first) {
      const bool again = last <= AttemptState::kAccepted && *state <= AttemptState::kOffered;
      CHECK((again || *state > last));
      CHECK_FALSE(is_terminal(last));
    }
    CHECK(*state != AttemptState::kUnknown);
    attempt = rows->bytes(0);
    last = *state;
  }
  auto wrong = (*database)->query_integer(
      "SELECT count(*) FROM attempts a WHERE (a.ended_at_ms > 0) != EXISTS (SELECT 1 FROM steps s WHERE "
      "s.attempt = a.id "
      "AND s.ends = 1 AND s.state = a.state)");
  CHECK((wrong && *wrong == 0));
}

}  // namespace sloth
