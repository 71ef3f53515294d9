#include "agent/content_inbox.h"

#include <fmt/format.h>

#include <utility>

#include "agent/master_core.h"
#include "agent/run_session.h"

namespace sloth {
namespace {

constexpr std::size_t kAskedAtOnce = 32;
constexpr std::size_t kMostBegun = std::size_t{128} << 20;

}  // namespace

void ContentInbox::want(const std::vector<std::string>& digests, UniqueFunction<void()> then) {
  auto waiting = std::make_shared<Waiting>();
  waiting->missing = digests.size();
  waiting->then = std::move(then);
  for (const std::string& digest : digests) {
    auto& those = waiting_[digest];
    those.push_back(waiting);
    if (those.size() == 1) unasked_.push_back(digest);
  }
  ask_more();
}

void ContentInbox::ask(const std::string& digest) {
  if (asked_.count(digest) == 0 && extra_.insert(digest).second) session_.send(ContentWanted{{digest}});
}

void ContentInbox::ask_more() {
  ContentWanted wanted;
  while (asked_.size() < kAskedAtOnce && !unasked_.empty()) {
    asked_.insert(unasked_.front());
    wanted.digests.push_back(std::move(unasked_.front()));
    unasked_.pop_front();
  }
  if (!wanted.digests.empty()) session_.send(std::move(wanted));
}

Result<void> ContentInbox::take(ContentPart part) {
  if (asked_.count(part.digest) == 0 && extra_.count(part.digest) == 0) {
    return Error{Code::kInvalid, fmt::format("content {} was not asked for", part.digest)};
  }
  begun_bytes_ += part.bytes.size();
  if (begun_bytes_ > kMostBegun) {
    return Error{Code::kLimit, fmt::format("more than {} bytes of contents begun and not ended", kMostBegun)};
  }
  auto added = assembly_.add(std::move(part));
  if (!added) return added.error();
  if (!*added) return {};
  auto whole = std::make_shared<ContentAssembly::Whole>(std::move(**added));
  core_.blocking(
      [content = core_.content, whole]() mutable { return content.put(whole->digest, whole->bytes); },
      [this, weak = session_.weak(), whole](Result<void> put) {
        const auto alive = weak.lock();
        if (!alive) return;
        begun_bytes_ -= whole->bytes.size();
        stored(whole->digest, std::move(put));
      });
  return {};
}

void ContentInbox::drop() {
  const auto waiting = std::move(waiting_);
  waiting_.clear();
  unasked_.clear();
}

void ContentInbox::stored(const std::string& digest, Result<void> put) {
  if (!put) return session_.reject(put.error().message, false);
  asked_.erase(digest);
  extra_.erase(digest);
  const auto here = waiting_.find(digest);
  if (here != waiting_.end()) {
    const auto those = std::move(here->second);
    waiting_.erase(here);
    for (const auto& waiting : those) {
      if (--waiting->missing == 0) waiting->then();
    }
  }
  core_.content_came(digest);
  ask_more();
}

}  // namespace sloth
