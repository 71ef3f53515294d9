#include "agent/offer_intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/bundle.h"
#include "agent/digest.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

// Contents that are under way at once: each is held in memory until it is whole.
constexpr std::size_t kMostAsked = 4;
constexpr std::uint64_t kMostRequest = std::uint64_t{64} << 20;

OfferAnswer refusal(const std::string& attempt, std::string reason, bool may_retry) {
  return {attempt, AttemptState::kRefused, std::move(reason), may_retry};
}

// Of the disk, which may be better another time.
OfferAnswer refusal(const std::string& attempt, const Error& error, const Workspaces& workspaces) {
  const bool full = Journal::is_full(error);
  return refusal(attempt, full ? fmt::format("no space on {}", workspaces.directory()) : error.message, true);
}

}  // namespace

OfferIntake::OfferIntake(Errands& errands, const Clock& clock, const Workspaces& workspaces,
                         AgentPolicy policy, Ports ports)
    : errands_(errands),
      clock_(clock),
      workspaces_(workspaces),
      policy_(std::make_shared<const AgentPolicy>(std::move(policy))),
      ports_(std::move(ports)) {}

const std::string* OfferIntake::digest_of(const std::string& attempt) const {
  const auto entry = entries_.find(attempt);
  return entry == entries_.end() ? nullptr : &entry->second.offer->digest;
}

void OfferIntake::take(Offer offer) {
  const std::string attempt = offer.attempt;
  if (const auto known = entries_.find(attempt); known != entries_.end()) {
    known->second.wanted = true;
    return;
  }
  entries_[attempt].offer = std::make_shared<const Offer>(std::move(offer));
  run(attempt);
}

bool OfferIntake::withdraw(const std::string& attempt) {
  const auto entry = entries_.find(attempt);
  if (entry == entries_.end() || !entry->second.wanted) return false;
  entry->second.wanted = false;
  if (!entry->second.busy) entries_.erase(entry);
  return true;
}

void OfferIntake::clear() {
  std::erase_if(entries_, [](const auto& entry) { return !entry.second.busy; });
  for (auto& [attempt, entry] : entries_) entry.wanted = false;
  asked_.clear();
  parts_.clear();
  assembly_ = std::make_shared<ContentAssembly>();
}

void OfferIntake::run(const std::string& attempt) {
  Entry& entry = entries_.at(attempt);
  entry.busy = true;
  errands_.run(
      weak_from_this(),
      [offer = entry.offer, policy = policy_, workspaces = workspaces_, now = clock_.wall_ms()] {
        return check(*offer, *policy, workspaces, now);
      },
      [this, attempt](Checked checked) { on_checked(attempt, std::move(checked)); });
}

OfferIntake::Checked OfferIntake::check(const Offer& offer, const AgentPolicy& policy,
                                        const Workspaces& workspaces, std::int64_t now_ms) {
  Checked checked;
  const auto refuse = [&](std::string reason) {
    checked.refusal = refusal(offer.attempt, std::move(reason), false);
    return checked;
  };
  if (sha256(offer.request) != offer.digest)
    return refuse("its bytes have another digest than the offer says");
  const auto head = read_bundle_head(offer.request);
  if (!head) return refuse(head.error().message);
  if (head->task != offer.key.task) {
    return refuse(
        fmt::format("the bundle is of task \"{}\", the offer of \"{}\"", head->task, offer.key.task));
  }
  auto account = policy.account(head->user);
  if (!account) return refuse(account.error().message);
  const auto digests = blobs_of(offer.request);
  if (!digests) return refuse(digests.error().message);
  checked.missing = ContentStore(workspaces.content()).missing(*digests);
  if (!checked.missing.empty()) return checked;

  if (auto written = workspaces.write_request(offer.attempt, offer.request); !written) {
    checked.refusal = refusal(offer.attempt, written.error(), workspaces);
    return checked;
  }
  JournalRow& row = checked.row;
  row.id = offer.attempt;
  row.key = offer.key;
  row.digest = offer.digest;
  row.account = std::move(*account);
  row.workspace = workspaces.workspace(offer.attempt);
  row.timeout = head->timeout;
  row.created_ms = now_ms;
  return checked;
}

Result<void> OfferIntake::check_files(const Workspaces& workspaces, const JournalRow& row) {
  const auto request = read_file(workspaces.files(row.id).request(), kMostRequest);
  if (!request) return request.error();
  if (sha256(*request) != row.digest) return Error{Code::kInvalid, "its request is damaged"};
  const auto digests = blobs_of(*request);
  if (!digests) return digests.error();
  const ContentStore content(workspaces.content());
  for (const std::string& digest : *digests) {
    if (const auto whole = content.get(digest); !whole) return whole.error();
  }
  return {};
}

void OfferIntake::on_checked(const std::string& attempt, Checked checked) {
  const auto found = entries_.find(attempt);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.busy = false;
  if (entry.wanted && checked.refusal.reason.empty() && !checked.missing.empty()) {
    entry.missing.insert(checked.missing.begin(), checked.missing.end());
    want_more();
    return;
  }
  const bool wanted = entry.wanted;
  entries_.erase(found);
  if (!wanted) return;
  if (!checked.refusal.reason.empty()) {
    ports_.refuse(std::move(checked.refusal));
  } else {
    ports_.ready(std::move(checked.row));
  }
}

void OfferIntake::want_more() {
  ContentWanted wanted;
  for (const auto& [attempt, entry] : entries_) {
    for (const std::string& digest : entry.missing) {
      if (asked_.size() >= kMostAsked) break;
      if (asked_.insert(digest).second) wanted.digests.push_back(digest);
    }
  }
  if (!wanted.digests.empty()) ports_.want(std::move(wanted));
}

void OfferIntake::content(ContentPart part) {
  // Nobody sends what was not asked for.
  if (!asked_.contains(part.digest)) return;
  parts_.push_back(std::move(part));
  if (!receiving_) receive();
}

void OfferIntake::receive() {
  receiving_ = true;
  errands_.run(
      weak_from_this(),
      [assembly = assembly_, parts = std::exchange(parts_, {}), workspaces = workspaces_]() mutable {
        return store(*assembly, workspaces, std::move(parts));
      },
      [this](const std::vector<Stored>& all) {
        receiving_ = false;
        for (const Stored& stored : all) on_stored(stored);
        if (!parts_.empty() && !receiving_) receive();
      });
}

std::vector<OfferIntake::Stored> OfferIntake::store(ContentAssembly& assembly, const Workspaces& workspaces,
                                                    std::deque<ContentPart> parts) {
  std::vector<Stored> all;
  ContentStore content(workspaces.content());
  for (ContentPart& part : parts) {
    const std::string digest = part.digest;
    const auto whole = assembly.add(std::move(part));
    if (!whole) {
      all.push_back({digest, whole.error().message, false});
    } else if (*whole) {
      const auto put = content.put(digest, (*whole)->bytes);
      const OfferAnswer refused = put ? OfferAnswer{} : refusal("", put.error(), workspaces);
      all.push_back({digest, refused.reason, true});
    }
  }
  return all;
}

void OfferIntake::on_stored(const Stored& stored) {
  asked_.erase(stored.digest);
  std::vector<std::string> complete;
  std::vector<std::string> refused;
  for (auto& [attempt, entry] : entries_) {
    if (entry.missing.erase(stored.digest) == 0) continue;
    if (!stored.error.empty()) {
      refused.push_back(attempt);
    } else if (entry.missing.empty() && !entry.busy) {
      complete.push_back(attempt);
    }
  }
  for (const std::string& attempt : refused) {
    if (withdraw(attempt)) ports_.refuse(refusal(attempt, stored.error, stored.may_retry));
  }
  for (const std::string& attempt : complete) run(attempt);
  want_more();
}

}  // namespace sloth
