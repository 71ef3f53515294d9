// AgentAttempt: one attempt on its agent, from the commit that accepts it to the master's word that it has
// everything.
//
// Strand-confined: call only on its strand.
//
//   accepting -> waiting -> starting -> running -> ending -> ended -> home
//       \__________________/^  (accepted and started in one commit when there is a place)
//
// Nothing is said to the master before it is in the journal, and no process exists before `started` is.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/attempt_process.h"
#include "agent/errands.h"
#include "agent/journal.h"
#include "agent/message.h"
#include "agent/spool_reader.h"
#include "agent/spool_sender.h"
#include "agent/workspaces.h"
#include "runner/base/clock.h"

namespace sloth {

class AgentAttempt;

// What the attempts of one agent share. Outlives them.
struct AttemptServices {
  Errands& errands;
  Journal& journal;
  AttemptHost& host;
  const Clock& clock;
  const Workspaces& workspaces;
  AttemptLimits limits;
  std::function<void(Message)> send;                 // dropped when there is no link
  std::function<bool()> has_room;                    // for bulk, on the link
  std::function<void(const AgentAttempt&)> settled;  // accept() was answered; its phase says how
  std::function<void(const AgentAttempt&)> waiting;  // wants start()
  std::function<void()> place_freed;
  std::function<void()> ended;                      // an end is in the journal
  std::function<void(const std::string& id)> gone;  // nothing of it is left; it may be destroyed
  std::function<void(const Error& error)> trouble;  // the journal cannot be written, for no passing reason
  std::function<void(std::string)> note;
};

class AgentAttempt : public std::enable_shared_from_this<AgentAttempt> {
 public:
  enum class Phase { kAccepting, kWaiting, kStarting, kRunning, kEnding, kEnded, kHome };

  // `row`: new, or as an earlier agent of this directory left it.
  AgentAttempt(AttemptServices& services, JournalRow row);
  AgentAttempt(const AgentAttempt&) = delete;
  AgentAttempt& operator=(const AgentAttempt&) = delete;

  // Commits the acceptance; with a place the start, too, and starts. Answers the offer.
  void accept(bool with_place);
  // REQUIRES: waiting. A place is free and now taken.
  void start();
  // Of an earlier agent: waits, finds its process (or learns its end), or has its result ready to be sent.
  void recover();

  void cancel(const std::string& reason);
  void link_up();
  void link_down();
  void on_spool_ack(std::uint64_t offset) { sender_->acknowledge(offset); }
  void on_result_ack();
  // The offer came again.
  void answer_again();

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] const JournalRow& row() const { return row_; }  // as it is in the journal
  [[nodiscard]] bool has_place() const { return place_; }
  // Its end is in the journal, or it is not in the journal yet.
  [[nodiscard]] bool is_live() const { return phase_ > Phase::kAccepting && phase_ < Phase::kEnded; }

  // Results of attempts of which there is no object: without output, with nothing but a message; and of one
  // that came home and was forgotten.
  static AttemptResult plain_end(const std::string& id, AttemptState state, std::string message);
  static AttemptResult old_end(const std::string& id, AttemptState state);

  static constexpr int kStartTries = 5;

 private:
  void on_accepted(const Result<Journal::Acceptance>& acceptance);
  void go_on_accepted();
  void turn_away(std::string reason, bool may_retry);
  void launch();
  void on_launched(std::unique_ptr<AttemptProcess> process);
  void on_not_launched(const Error& error);
  void try_later();
  void adopt(ProcessName name);
  [[nodiscard]] AttemptPlan plan() const;
  [[nodiscard]] AttemptEvents events();
  void watch_time(Duration ran);
  void on_end(AttemptState state, Outcome outcome);
  void finish(AttemptState state, Outcome outcome);
  void conclude(AttemptState state, Outcome outcome, const SpoolEnd& spool, bool has_workspace);
  void commit_end(JournalRow ended);
  void begin_sending();
  void send_result();
  void send_result_again();
  bool send_part(SpoolPart part);
  void go_home(bool has_workspace);
  void free_place();
  Duration next_delay(Duration first, Duration most);
  [[nodiscard]] std::string title() const;

  AttemptServices& services_;
  JournalRow row_;
  Phase phase_ = Phase::kAccepting;
  bool place_ = false;
  bool recovered_ = false;
  bool linked_ = false;
  bool sending_ = false;      // the sender was told of the link
  bool result_sent_ = false;  // on this link
  bool retry_later_ = false;  // a part is waiting for room on the link
  bool overtime_ = false;     // this agent ended it, as its process had not by itself
  int tries_ = 0;             // of whatever is being tried again now
  std::optional<std::string> cancelled_;
  std::unique_ptr<AttemptProcess> process_;
  std::shared_ptr<SpoolSender> sender_;
};

}  // namespace sloth
