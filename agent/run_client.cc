#include "agent/run_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <future>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "agent/content_store.h"
#include "agent/spool.h"
#include "runner/base/duration.h"
#include "runner/exec/strand.h"

namespace sloth {
namespace {

constexpr std::chrono::seconds kSilence{10};

struct Followed {
  std::string id;
  std::optional<Submit> submit;  // to be said again to every new master
  std::vector<Blob> blobs;
  RunClient::Follower follower;
  SpoolParser parser;
  std::uint64_t received = 0;  // bytes of the spool
  std::optional<std::string> cancel;
};

struct Question {
  std::uint64_t number = 0;
  Message message;
  std::function<void(Result<Message>)> answer;
  TimerId timer = 0;
};

}  // namespace

// Everything here runs on the strand.
class RunClient::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Options options, Dialer& dialer, Executor& executor, const Clock& clock)
      : options_(std::move(options)), dialer_(dialer), clock_(clock), strand_(executor) {}

  void post(UniqueFunction<void()> job) {
    strand_.post([self = shared_from_this(), job = std::move(job)]() mutable {
      if (!self->closed_) job();
    });
  }

  void follow(Followed followed) {
    const std::string id = followed.id;
    Followed& kept = attempts_[id] = std::move(followed);
    if (connected_) announce(kept);
    dial();
  }

  void cancel(const std::string& id, std::string reason) {
    const auto found = attempts_.find(id);
    if (found == attempts_.end()) return;
    found->second.cancel = std::move(reason);
    if (connected_) link_->send(CancelAttempt{id, *found->second.cancel});
  }

  void ask(Message message, Duration wait, std::function<void(Result<Message>)> answer) {
    const std::uint64_t number = ++questions_asked_;
    questions_.push_back({number, std::move(message), std::move(answer), 0});
    questions_.back().timer = strand_.executor().run_at(clock_.now() + wait, [weak = weak_from_this(), number, wait] {
      if (auto self = weak.lock()) self->post([impl = self.get(), number, wait] { impl->give_up(number, wait); });
    });
    if (connected_) link_->send(questions_.back().message);
    dial();
  }

  // The dialer may be gone right after.
  void close_and_wait() {
    std::promise<void> closed;
    const bool posted = strand_.post([this, &closed] {
      close();
      closed.set_value();
    });
    if (posted) closed.get_future().wait();
  }

 private:
  void close() {
    closed_ = true;
    link_.reset();
    for (Question& question : questions_) strand_.executor().cancel(question.timer);
    if (redial_ != 0) strand_.executor().cancel(redial_);
    attempts_.clear();
    questions_.clear();
  }

  void dial() {
    if (link_ != nullptr || redial_ != 0) return;
    link_ = dialer_.dial(Role::kRun);
    const std::uint64_t number = ++dials_;
    link_->open({[weak = weak_from_this(), number](Message message) {
                   if (auto self = weak.lock())
                     self->post([impl = self.get(), number, message = std::move(message)]() mutable {
                       if (number == impl->dials_) impl->receive(std::move(message));
                     });
                 },
                 [weak = weak_from_this(), number](std::string reason) {
                   if (auto self = weak.lock())
                     self->post([impl = self.get(), number, reason = std::move(reason)]() mutable {
                       if (number == impl->dials_) impl->lose(std::move(reason));
                     });
                 }});
    link_->send(RunHello{kProtocolVersion, options_.version, options_.run});
  }

  void lose(std::string reason) {
    link_.reset();
    connected_ = false;
    if (!reason.empty()) last_reason_ = std::move(reason);
    if (attempts_.empty() && questions_.empty()) return;
    // Full jitter, so that many who lost the same master do not come back at the same moment.
    std::uniform_real_distribution<double> part(0.2, 1.0);
    pause_ = pause_ == Duration::zero() ? options_.redial_first : std::min(pause_ * 2, options_.redial_most);
    const auto wait = std::chrono::duration_cast<Duration>(pause_ * part(random_));
    redial_ = strand_.executor().run_at(clock_.now() + wait, [weak = weak_from_this()] {
      if (auto self = weak.lock())
        self->post([impl = self.get()] {
          impl->redial_ = 0;
          impl->dial();
        });
    });
  }

  // A run that waits long for a silent task asks now and then whether what it follows is still followed: the answer is a
  // status at least. No answer, and the link is of no use, whatever the system says about it.
  void watch_later() {
    strand_.executor().run_at(clock_.now() + kSilence, [weak = weak_from_this(), dial = dials_] {
      if (auto self = weak.lock()) self->post([impl = self.get(), dial] { impl->watch(dial); });
    });
  }

  void watch(std::uint64_t dial) {
    if (dial != dials_ || !connected_) return;
    const Duration silent = clock_.now() - heard_;
    if (silent >= 2 * kSilence && !attempts_.empty()) {
      ++dials_;  // what the old link still says is not for us
      return lose("the master does not answer");
    }
    if (silent >= kSilence) {
      for (const auto& [id, followed] : attempts_) link_->send(Subscribe{id, followed.received});
    }
    watch_later();
  }

  void receive(Message message) {
    heard_ = clock_.now();
    if (const auto* rejected = std::get_if<Rejected>(&message)) return reject(*rejected);
    if (std::holds_alternative<RunWelcome>(message)) return welcome();
    if (const auto* wanted = std::get_if<ContentWanted>(&message)) return send_content(wanted->digests);
    if (auto* status = std::get_if<AttemptStatus>(&message)) return take_status(*status);
    if (auto* part = std::get_if<SpoolPart>(&message)) return take_part(*part);
    if (auto* result = std::get_if<AttemptResult>(&message)) return take_result(*result);
    if (std::holds_alternative<Agents>(message) || std::holds_alternative<RunAttempts>(message) ||
        std::holds_alternative<CommandAnswer>(message)) {
      return answer(std::move(message));
    }
  }

  void welcome() {
    connected_ = true;
    pause_ = Duration::zero();
    watch_later();
    for (auto& [id, followed] : attempts_) announce(followed);
    for (const Question& question : questions_) link_->send(question.message);
  }

  void reject(const Rejected& rejected) {
    last_reason_ = rejected.reason;
    if (!rejected.permanent) return;
    for (auto& [id, followed] : std::exchange(attempts_, {})) {
      Outcome outcome;
      outcome.kind = OutcomeKind::kFailed;
      outcome.message = "the master refuses this run: " + rejected.reason;
      followed.follower.on_end(AttemptState::kRefused, std::move(outcome));
    }
    for (Question& question : std::exchange(questions_, {})) {
      strand_.executor().cancel(question.timer);
      question.answer(Error{Code::kRefused, rejected.reason});
    }
  }

  void announce(const Followed& followed) {
    if (followed.submit) link_->send(*followed.submit);
    link_->send(Subscribe{followed.id, followed.received});
    if (followed.cancel) link_->send(CancelAttempt{followed.id, *followed.cancel});
  }

  void send_content(const std::vector<std::string>& digests) {
    for (const std::string& digest : digests) {
      if (const std::shared_ptr<const std::string> bytes = find_blob(digest)) {
        for (ContentPart& part : content_parts(digest, *bytes)) link_->send(std::move(part));
      }
    }
  }

  std::shared_ptr<const std::string> find_blob(const std::string& digest) const {
    for (const auto& [id, followed] : attempts_) {
      for (const Blob& blob : followed.blobs) {
        if (blob.digest == digest) return blob.bytes;
      }
    }
    return nullptr;
  }

  void take_status(const AttemptStatus& status) {
    const auto found = attempts_.find(status.attempt);
    if (found != attempts_.end() && found->second.follower.on_status) {
      found->second.follower.on_status(status.state, status.detail);
    }
  }

  void take_part(const SpoolPart& part) {
    const auto found = attempts_.find(part.attempt);
    if (found == attempts_.end()) return;
    Followed& followed = found->second;
    if (part.offset > followed.received) {
      link_->send(Subscribe{followed.id, followed.received});
      return;
    }
    const std::uint64_t known = followed.received - part.offset;
    if (known < part.bytes.size()) {
      const std::string_view fresh = std::string_view(part.bytes).substr(known);
      followed.received += fresh.size();
      const auto fed = followed.parser.feed(fresh, followed.follower.on_event);
      if (!fed) {
        followed.follower.on_event(TaskLog{Severity::kError, "the output of this attempt is damaged: " + fed.error().message});
      }
    }
    link_->send(SpoolAck{followed.id, followed.received});
  }

  void take_result(AttemptResult& result) {
    const auto found = attempts_.find(result.attempt);
    if (found == attempts_.end()) {
      link_->send(ResultAck{result.attempt});
      return;
    }
    if (found->second.received < result.spool_end) {
      link_->send(Subscribe{result.attempt, found->second.received});
      return;
    }
    Followed followed = std::move(found->second);
    attempts_.erase(found);
    link_->send(ResultAck{result.attempt});
    auto outcome = decode_outcome(result.outcome);
    if (!outcome) {
      outcome = Outcome{};
      outcome->kind = OutcomeKind::kUnknown;
      outcome->message = "the outcome cannot be read; another version of the program wrote it";
    }
    followed.follower.on_end(result.state, std::move(*outcome));
  }

  void answer(Message message) {
    const auto fits = [&](const Question& question) {
      return (std::holds_alternative<ListAgents>(question.message) && std::holds_alternative<Agents>(message)) ||
             (std::holds_alternative<ListAttempts>(question.message) &&
              std::holds_alternative<RunAttempts>(message)) ||
             (std::holds_alternative<AgentCommand>(question.message) &&
              std::holds_alternative<CommandAnswer>(message));
    };
    const auto found = std::find_if(questions_.begin(), questions_.end(), fits);
    if (found == questions_.end()) return;
    Question question = std::move(*found);
    questions_.erase(found);
    strand_.executor().cancel(question.timer);
    question.answer(std::move(message));
  }

  void give_up(std::uint64_t number, Duration wait) {
    const auto found = std::find_if(questions_.begin(), questions_.end(),
                                    [&](const Question& question) { return question.number == number; });
    if (found == questions_.end()) return;
    Question question = std::move(*found);
    questions_.erase(found);
    question.answer(Error{Code::kUnavailable, fmt::format("no answer from a master within {}{}{}", format_duration(wait),
                                                          last_reason_.empty() ? "" : ": ", last_reason_)});
  }

  const Options options_;
  Dialer& dialer_;
  const Clock& clock_;
  Strand strand_;
  std::minstd_rand random_{std::random_device{}()};
  bool closed_ = false;
  bool connected_ = false;  // welcomed
  std::unique_ptr<Link> link_;
  std::uint64_t dials_ = 0;
  TimerId redial_ = 0;
  Duration pause_{};
  TimePoint heard_{};  // the last message
  std::string last_reason_;
  std::map<std::string, Followed> attempts_;
  std::deque<Question> questions_;
  std::uint64_t questions_asked_ = 0;
};

RunClient::RunClient(Options options, Dialer& dialer, Executor& executor, const Clock& clock)
    : impl_(std::make_shared<Impl>(std::move(options), dialer, executor, clock)) {}

RunClient::~RunClient() { impl_->close_and_wait(); }

void RunClient::submit(Bundle bundle, AttemptKey key, Waits waits, Follower follower) {
  Followed followed;
  followed.id = attempt_id(key);
  Submit submit;
  submit.attempt = followed.id;
  submit.key = std::move(key);
  submit.digest = std::move(bundle.digest);
  submit.request = std::move(bundle.request);
  for (const Blob& blob : bundle.blobs) submit.blobs.push_back(blob.digest);
  submit.queue_ms = std::chrono::duration_cast<std::chrono::milliseconds>(waits.queue).count();
  submit.lost_ms = std::chrono::duration_cast<std::chrono::milliseconds>(waits.lost_after).count();
  followed.submit = std::move(submit);
  followed.blobs = std::move(bundle.blobs);
  followed.follower = std::move(follower);
  impl_->post([impl = impl_.get(), followed = std::move(followed)]() mutable { impl->follow(std::move(followed)); });
}

void RunClient::follow(std::string attempt, Follower follower) {
  Followed followed;
  followed.id = std::move(attempt);
  followed.follower = std::move(follower);
  impl_->post([impl = impl_.get(), followed = std::move(followed)]() mutable { impl->follow(std::move(followed)); });
}

void RunClient::cancel(std::string attempt, std::string reason) {
  impl_->post([impl = impl_.get(), attempt = std::move(attempt), reason = std::move(reason)]() mutable {
    impl->cancel(attempt, std::move(reason));
  });
}

void RunClient::ask(Message question, Duration wait, std::function<void(Result<Message>)> answer) {
  impl_->post([impl = impl_.get(), question = std::move(question), wait, answer = std::move(answer)]() mutable {
    impl->ask(std::move(question), wait, std::move(answer));
  });
}

}  // namespace sloth
