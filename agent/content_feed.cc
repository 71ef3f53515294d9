#include "agent/content_feed.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/digest.h"
#include "agent/master_core.h"
#include "agent/run_session.h"
#include "runner/os/descriptor.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

constexpr std::size_t kPartBytes = std::size_t{256} << 10;
constexpr std::size_t kMostQueued = std::size_t{1} << 20;
constexpr std::size_t kMostWanted = 100'000;
constexpr Duration kLinkPause = std::chrono::milliseconds(5);

Result<ContentPart> read_part(const std::string& directory, const std::string& digest, std::uint64_t offset) {
  const std::string path = directory + "/" + digest;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.open()) return path_error("open", path, errno);
  // One byte more than is sent tells whether it was the last part.
  std::string bytes(kPartBytes + 1, '\0');
  ssize_t got = 0;
  do {
    got = ::pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return path_error("read", path, errno);
  const auto size = static_cast<std::size_t>(got);
  bytes.resize(std::min(size, kPartBytes));
  return ContentPart{digest, offset, std::move(bytes), size <= kPartBytes};
}

}  // namespace

struct ContentFeed::State : std::enable_shared_from_this<State> {
  State(MasterCore& lent, Link& to) : core(lent), link(to) {}

  void go_on() {
    if (busy || queue.empty()) return;
    busy = true;
    if (link.queued_bytes() > kMostQueued) {
      core.after(kLinkPause, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->rest();
      });
      return;
    }
    const std::string digest = queue.front();
    core.blocking(
        [content = core.content, digest, offset = offset]() -> Result<ContentPart> {
          // Damaged content is found before the first part of it is sent.
          if (offset == 0) {
            if (auto whole = content.get(digest); !whole) return whole.error();
          }
          return read_part(content.directory(), digest, offset);
        },
        [weak = weak_from_this()](Result<ContentPart> part) {
          if (const auto self = weak.lock()) self->send(std::move(part));
        });
  }

  void rest() {
    busy = false;
    go_on();
  }

  void send(Result<ContentPart> part) {
    if (!part) {
      wait_for(std::exchange(queue.front(), {}));
      next();
    } else {
      const bool last = part->last;
      offset += part->bytes.size();
      link.send(std::move(*part));
      if (last) next();
    }
    rest();
  }

  void next() {
    queue.pop_front();
    offset = 0;
  }

  void wait_for(std::string digest) {
    core.say(fmt::format("content {} is not here any more: asked of the runs", digest));
    core.content_waiters.emplace(digest, [weak = weak_from_this(), digest] {
      const auto self = weak.lock();
      if (!self) return;
      self->queue.push_back(digest);
      self->go_on();
    });
    for (const auto& session : core.sessions) {
      if (auto* run = dynamic_cast<RunSession*>(session.get())) run->ask_content(digest);
    }
  }

  MasterCore& core;
  Link& link;
  std::deque<std::string> queue;
  std::uint64_t offset = 0;  // of the first in the queue
  bool busy = false;
};

ContentFeed::ContentFeed(MasterCore& core, Link& link) : state_(std::make_shared<State>(core, link)) {}

ContentFeed::~ContentFeed() = default;

Result<void> ContentFeed::want(const std::vector<std::string>& digests) {
  if (state_->queue.size() + digests.size() > kMostWanted) {
    return Error{Code::kLimit,
                 fmt::format("{} contents asked for at once", state_->queue.size() + digests.size())};
  }
  for (const std::string& digest : digests) {
    if (!is_digest(digest)) return Error{Code::kInvalid, fmt::format("\"{}\" is no digest", digest)};
    state_->queue.push_back(digest);
  }
  state_->go_on();
  return {};
}

}  // namespace sloth
