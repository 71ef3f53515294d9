// OfferIntake: what happens to an offer before it can be accepted: checked, its content fetched, its files
// written.
//
// Strand-confined: call only on its strand. Nothing of it is durable: an offer that is lost here (a crash, a
// broken link) was not answered, so the master sends it again.
//
//   offer -> check (digest, bundle, policy, what content is missing) -> [content wanted, parts] -> files ->
//   ready
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/content_store.h"
#include "agent/errands.h"
#include "agent/journal.h"
#include "agent/message.h"
#include "agent/policy.h"
#include "agent/workspaces.h"
#include "runner/base/clock.h"

namespace sloth {

class OfferIntake : public std::enable_shared_from_this<OfferIntake> {
 public:
  struct Ports {
    std::function<void(JournalRow)> ready;  // its request is in its file, its content in the store
    std::function<void(OfferAnswer)> refuse;
    std::function<void(ContentWanted)> want;
  };

  OfferIntake(Errands& errands, const Clock& clock, const Workspaces& workspaces, AgentPolicy policy,
              Ports ports);

  // The digest of the offer of that attempt which is under way here, else null.
  [[nodiscard]] const std::string* digest_of(const std::string& attempt) const;
  // REQUIRES: none of this attempt with another digest is under way. Again: once is enough.
  void take(Offer offer);
  void content(ContentPart part);
  // It is not wanted any more. False when none is under way.
  bool withdraw(const std::string& attempt);
  // The link is gone: what was not answered comes again.
  void clear();
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  // Blocks: whether an attempt that was accepted by an earlier agent of this directory can still be started.
  static Result<void> check_files(const Workspaces& workspaces, const JournalRow& row);

 private:
  struct Entry {
    std::shared_ptr<const Offer> offer;
    bool busy = true;    // its errand is under way
    bool wanted = true;  // else it ends with its errand
    std::set<std::string> missing;
  };
  struct Checked {
    OfferAnswer refusal;  // when its reason is not empty
    JournalRow row;
    std::vector<std::string> missing;
  };
  struct Stored {
    std::string digest;
    std::string error;
    bool may_retry = false;
  };

  static Checked check(const Offer& offer, const AgentPolicy& policy, const Workspaces& workspaces,
                       std::int64_t now_ms);
  static std::vector<Stored> store(ContentAssembly& assembly, const Workspaces& workspaces,
                                   std::deque<ContentPart> parts);
  void run(const std::string& attempt);
  void on_checked(const std::string& attempt, Checked checked);
  void receive();
  void on_stored(const Stored& stored);
  void want_more();

  Errands& errands_;
  const Clock& clock_;
  const Workspaces& workspaces_;
  const std::shared_ptr<const AgentPolicy> policy_;
  const Ports ports_;
  std::map<std::string, Entry> entries_;
  std::set<std::string> asked_;  // digests under way on this link
  std::shared_ptr<ContentAssembly> assembly_ = std::make_shared<ContentAssembly>();
  std::deque<ContentPart> parts_;
  bool receiving_ = false;
};

}  // namespace sloth
