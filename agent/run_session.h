// RunSession: one link of a run: submits, follows attempts, cancels, asks questions.
//
// Strand-confined: call only on its master's strand. A link that breaks leaves its attempts alone. Output is
// read from the spool's file when there is room on the way: 1 MiB per subscription and 8 MiB per link may be
// unacknowledged, so a run that does not read costs no more than that, and the others nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/attempt_book.h"
#include "agent/content_inbox.h"
#include "agent/master_core.h"
#include "agent/message.h"

namespace sloth {

class RunSession final : public MasterSession, public AttemptWatcher {
 public:
  RunSession(MasterCore& core, std::unique_ptr<Link> link);
  ~RunSession() override;
  // Once, after construction.
  void open();

  [[nodiscard]] std::weak_ptr<RunSession> weak() {
    return std::static_pointer_cast<RunSession>(shared_from_this());
  }

  void send(Message message);
  // Says why, and ends the link; nothing that comes on it is heard any more.
  void reject(const std::string& reason, bool permanent);
  void let_go() override;

  void attempt_changed(const Attempt& attempt) override;
  // This run may have a content that an agent is waiting for.
  void ask_content(const std::string& digest) { inbox_.ask(digest); }

  // For Submissions. The state of an attempt, subscribed or not.
  void tell(const Attempt& attempt);
  // A submit that cannot be: as a status and an end of an attempt that is not in any journal.
  void refuse(const std::string& id, const std::string& why);
  ContentInbox& inbox() { return inbox_; }
  [[nodiscard]] bool closing() const { return closing_; }

 private:
  struct Subscription {
    std::uint64_t number = 0;  // a second Subscribe of the same attempt is another one
    std::uint64_t sent = 0;    // offsets in the spool
    std::uint64_t acked = 0;
    std::uint64_t reserved = 0;  // bytes that are being read
    bool result_sent = false;
    std::optional<AttemptState> told_state;
    std::string told_note;
  };

  void receive(Message message);
  void greet(const RunHello& hello);
  void subscribe(const Subscribe& subscribe);
  void acked(const SpoolAck& ack);
  void cancel(CancelAttempt cancel);
  void list(const std::string& run);
  void follow(const Attempt& attempt, Subscription& subscription);
  void pump(const Attempt& attempt, Subscription& subscription);
  void read(const std::string& id, std::uint64_t number, std::uint64_t offset, Result<std::string> bytes);
  void end_subscription(const std::string& id);
  void feed_starved();
  void ended();

  MasterCore& core_;
  std::unique_ptr<Link> link_;
  bool greeted_ = false;
  bool closing_ = false;
  ContentInbox inbox_;
  std::map<std::string, Subscription> subscriptions_;  // by attempt
  std::uint64_t numbers_ = 0;
  std::uint64_t under_way_ = 0;      // bytes sent, or being read, and not acknowledged
  std::deque<std::string> starved_;  // have something to send, and the link is full
  std::set<std::string> refused_;    // ids whose submit was not possible
};

}  // namespace sloth
