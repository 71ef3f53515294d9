#include "tests/unit/agent/hand_master.h"

#include <stdexcept>
#include <utility>

namespace sloth {

HandMaster::~HandMaster() {
  std::vector<std::shared_ptr<Link>> links;
  MutexLock lock(mutex_);
  links.swap(links_);
}

std::unique_ptr<Link> HandMaster::dial(Role role) {
  if (role != Role::kAgent) throw std::logic_error("agents dial as agents");
  LinkPair pair = make_memory_link(executor_);
  std::shared_ptr<Link> mine = std::move(pair.b);
  std::size_t connection = 0;
  bool answers = false;
  {
    MutexLock lock(mutex_);
    connection = links_.size();
    links_.push_back(mine);
    wire_ = pair.wire;
    answers = online_;
    changed_.notify_all();
  }
  mine->open({.received = [this, connection](Message message) { on_message(connection, std::move(message)); },
              .closed = [](const std::string&) {}});
  if (!answers) pair.wire->cut();
  return std::move(pair.a);
}

void HandMaster::on_message(std::size_t connection, Message message) {
  // Answers go out under the lock, so that acknowledgements never overtake each other; a link only queues.
  // They go before the test hears of it: what the test sends comes behind the welcome.
  MutexLock lock(mutex_);
  if (connection + 1 != links_.size()) return;
  Link& link = *links_[connection];
  if (std::holds_alternative<AgentHello>(message)) link.send(welcome_);
  if (const auto* part = std::get_if<SpoolPart>(&message)) {
    std::string& spool = spools_[part->attempt];
    // Overlap is cut, a gap is asked for again.
    if (part->offset <= spool.size() && part->offset + part->bytes.size() > spool.size()) {
      spool += part->bytes.substr(spool.size() - part->offset);
    }
    if (spool_acks_) link.send(SpoolAck{part->attempt, spool.size()});
  }
  if (const auto* result = std::get_if<AttemptResult>(&message); result != nullptr && result_acks_) {
    link.send(ResultAck{result->attempt});
  }
  log_.push_back(std::move(message));
  changed_.notify_all();
}

void HandMaster::online(bool yes) {
  MutexLock lock(mutex_);
  online_ = yes;
}

void HandMaster::welcome_as(AgentWelcome welcome) {
  MutexLock lock(mutex_);
  welcome_ = welcome;
}

void HandMaster::acknowledge_spools(bool yes) {
  MutexLock lock(mutex_);
  spool_acks_ = yes;
}

void HandMaster::acknowledge_results(bool yes) {
  MutexLock lock(mutex_);
  result_acks_ = yes;
}

void HandMaster::send(Message message) {
  std::shared_ptr<Link> link;
  {
    MutexLock lock(mutex_);
    link = links_.back();
  }
  link->send(std::move(message));
}

void HandMaster::cut() { wire()->cut(); }

std::shared_ptr<MemoryWire> HandMaster::wire() {
  MutexLock lock(mutex_);
  return wire_;
}

int HandMaster::dials() {
  MutexLock lock(mutex_);
  return static_cast<int>(links_.size());
}

std::vector<Message> HandMaster::log() {
  MutexLock lock(mutex_);
  return log_;
}

void HandMaster::look(const std::function<bool(const Message&)>& fits) {
  const auto until = std::chrono::steady_clock::now() + kMasterPatience;
  MutexLock lock(mutex_);
  for (;;) {
    while (next_ < log_.size()) {
      if (fits(log_[next_++])) return;
    }
    if (!changed_.wait_until(mutex_, until) && next_ == log_.size()) return;
  }
}

void HandMaster::fail(const char* what) {
  throw std::runtime_error(std::string("no ") + what + " came within a minute");
}

std::string HandMaster::spool(const std::string& attempt) {
  MutexLock lock(mutex_);
  return spools_[attempt];
}

bool HandMaster::wait_spool(const std::string& attempt, std::size_t size) {
  const auto until = std::chrono::steady_clock::now() + kMasterPatience;
  MutexLock lock(mutex_);
  while (spools_[attempt].size() < size) {
    if (!changed_.wait_until(mutex_, until)) return spools_[attempt].size() >= size;
  }
  return true;
}

void HandMaster::acknowledge_spool(const std::string& attempt) {
  MutexLock lock(mutex_);
  links_.back()->send(SpoolAck{attempt, spools_[attempt].size()});
}

}  // namespace sloth
