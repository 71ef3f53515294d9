#include "agent/submission.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>
#include <utility>

#include "agent/digest.h"
#include "agent/master_core.h"
#include "agent/run_session.h"
#include "agent/wire.h"

namespace sloth {
namespace {

constexpr std::size_t kMostBlobs = 65536;
constexpr std::int64_t kLongestWaitMs = std::int64_t{30} * 24 * 3600 * 1000;

// "" when it is sound.
std::string problem_of(const Submit& submit) {
  if (attempt_id(submit.key) != submit.attempt) return "its id is not that of its key";
  if (!is_name(submit.key.agent)) return fmt::format("\"{}\" is no name of an agent", submit.key.agent);
  if (submit.key.number < 1) return "attempts count from 1";
  if (!is_digest(submit.digest)) return "its digest is none";
  if (submit.blobs.size() > kMostBlobs) return fmt::format("it names {} contents", submit.blobs.size());
  for (const std::string& blob : submit.blobs) {
    if (!is_digest(blob)) return fmt::format("\"{}\" is no digest", blob);
  }
  const auto sane = [](std::int64_t ms) { return ms >= 0 && ms <= kLongestWaitMs; };
  if (!sane(submit.queue_ms) || !sane(submit.lost_ms)) return "its waits must be between 0 and 30 days";
  return "";
}

// Those that are here count as used now, so that retention leaves them.
std::vector<std::string> missing_of(const ContentStore& content, const std::vector<std::string>& blobs) {
  for (const std::string& blob : blobs) {
    ::utimensat(AT_FDCWD, (content.directory() + "/" + blob).c_str(), nullptr, 0);
  }
  return content.missing(blobs);
}

// One that is on its way into the journal.
struct Submission {
  MasterCore& core;
  std::weak_ptr<RunSession> session;
  Submit submit;
};

void stop_older(MasterCore& core, const AttemptKey& key) {
  for (const std::string& id : core.book.live_of(key.agent)) {
    const Attempt* older = core.book.find(id);
    if (older == nullptr || older->ended()) continue;
    const AttemptKey& other = older->row.key;
    if (other.run != key.run || other.task != key.task || other.number >= key.number) continue;
    core.endings.cancel(id, fmt::format("attempt {} has taken its place", key.number),
                        [](Result<const Attempt*>) {});
  }
}

void record(const std::shared_ptr<Submission>& submission, Turn turn) {
  MasterCore& core = submission->core;
  Submit& submit = submission->submit;
  AttemptRow row;
  row.id = submit.attempt;
  row.key = submit.key;
  row.digest = submit.digest;
  row.queue_ms = submit.queue_ms;
  row.lost_ms = submit.lost_ms;
  row.queued_at_ms = core.clock.wall_ms();
  core.offers.submit(std::move(turn), std::move(row), {std::move(submit.request), std::move(submit.blobs)},
                     [submission](Result<Attempt*> kept) {
                       const auto session = submission->session.lock();
                       if (!kept) {
                         if (session) session->reject(kept.error().message, false);
                         return;
                       }
                       if (session) session->tell(**kept);
                       const AttemptKey& key = (*kept)->row.key;
                       if (key.number > 1) stop_older(submission->core, key);
                     });
}

void gather(const std::shared_ptr<Submission>& submission, Turn turn) {
  struct Looked {
    bool sound = false;
    std::vector<std::string> missing;
  };
  MasterCore& core = submission->core;
  core.blocking(
      [submission, content = core.content] {
        const Submit& submit = submission->submit;
        return Looked{sha256(submit.request) == submit.digest, missing_of(content, submit.blobs)};
      },
      [submission, turn = std::move(turn)](Looked looked) mutable {
        const auto session = submission->session.lock();
        if (!session || session->closing()) return;
        if (!looked.sound) {
          return session->reject(fmt::format("attempt {}: the request has not the digest it is said to have",
                                             submission->submit.attempt),
                                 true);
        }
        if (looked.missing.empty()) return record(submission, std::move(turn));
        session->inbox().want(looked.missing, [submission, turn = std::move(turn)]() mutable {
          record(submission, std::move(turn));
        });
      });
}

}  // namespace

void submit_attempt(MasterCore& core, RunSession& session, Submit submit) {
  if (const std::string problem = problem_of(submit); !problem.empty()) {
    return session.reject(fmt::format("attempt {}: {}", submit.attempt, problem), true);
  }
  const std::string id = submit.attempt;
  const auto submission = std::make_shared<Submission>(Submission{core, session.weak(), std::move(submit)});
  core.book.take(id, [submission](Turn turn) {
    const auto to = submission->session.lock();
    if (!to || to->closing()) return;
    if (const Error* error = turn.error()) return to->reject(error->message, false);
    const Attempt* attempt = turn.attempt();
    if (attempt == nullptr) return gather(submission, std::move(turn));
    if (attempt->row.digest != submission->submit.digest) {
      return to->refuse(attempt->row.id, "another bundle with the same id is here already");
    }
    to->tell(*attempt);
    for (const std::string& blob : submission->submit.blobs) {
      if (submission->core.content_waiters.count(blob) != 0) to->ask_content(blob);
    }
  });
}

}  // namespace sloth
