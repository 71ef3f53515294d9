#include "modules/running_command.h"

#include <fmt/format.h>

#include <algorithm>

namespace sloth {
namespace {

constexpr std::size_t kMostHeld = 1u << 20;

void append_some(std::string& text, std::string_view bytes, std::size_t limit, bool& cut) {
  const std::size_t room = limit - std::min(limit, text.size());
  cut = cut || bytes.size() > room;
  text.append(bytes.substr(0, room));
}

}  // namespace

Result<std::shared_ptr<RunningCommand>> RunningCommand::start(const Strand& strand, Host& host,
                                                              Options options) {
  std::shared_ptr<RunningCommand> self(new RunningCommand(strand, host, std::move(options)));
  ChildProcess::Options child;
  child.spawn = std::move(self->options_.spawn);
  child.input = std::move(self->options_.input);
  child.timeout = self->options_.timeout;
  child.grace = self->options_.grace;
  child.output = [self](OutputStream stream, std::string_view bytes) { return self->output(stream, bytes); };
  child.done = [self](ChildProcess::End end) { self->ended(std::move(end)); };
  auto started = ChildProcess::start(self->strand_.executor(), std::move(child));
  if (!started) return started.error();
  self->child_ = *started;
  return self;
}

bool RunningCommand::output(OutputStream stream, std::string_view bytes) {
  const bool for_reader = options_.pull && stream == OutputStream::kStdout;
  if (options_.capture) {
    append_some(stream == OutputStream::kStdout ? finish_.out : finish_.err, bytes, options_.capture_limit,
                finish_.truncated);
  }
  if (!for_reader && !options_.stream) return true;
  MutexLock lock(mutex_);
  if (!queue_.empty() && queue_.back().first == stream) {
    queue_.back().second.append(bytes);
  } else {
    queue_.emplace_back(stream, bytes);
  }
  held_ += bytes.size();
  paused_ = held_ > kMostHeld;
  schedule();
  return !paused_;
}

void RunningCommand::ended(ChildProcess::End end) {
  finish_.end = std::move(end);
  MutexLock lock(mutex_);
  ended_ = true;
  schedule();
}

void RunningCommand::schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  strand_.post([self = shared_from_this()] { self->drain(); });
}

void RunningCommand::drain() {
  std::vector<std::pair<OutputStream, std::string>> pieces;
  bool ended = false;
  {
    MutexLock lock(mutex_);
    pieces.swap(queue_);
    scheduled_ = false;
    ended = ended_;
  }
  std::size_t done_with = 0;
  for (const auto& [stream, bytes] : pieces) {
    if (options_.pull && stream == OutputStream::kStdout && !closed_) {
      pulled_ += bytes;
      continue;
    }
    if (host_ != nullptr && options_.stream) host_->write(stream, bytes);
    done_with += bytes.size();
  }
  taken(done_with);
  if (ended && !over_) {
    over_ = true;
    if (!finish_.end.survivors.empty()) warn_of_survivors();
    host_ = nullptr;
    child_.reset();
  }
  answer();
}

void RunningCommand::taken(std::size_t bytes) {
  {
    MutexLock lock(mutex_);
    held_ -= bytes;
    if (!paused_ || held_ > kMostHeld / 2) return;
    paused_ = false;
  }
  if (child_ != nullptr) child_->resume();
}

void RunningCommand::answer() {
  if (reader_ && (!pulled_.empty() || over_)) {
    Value piece;
    if (!pulled_.empty()) {
      taken(pulled_.size());
      piece = std::exchange(pulled_, {});
    }
    std::exchange(reader_, {}).resolve(Value::List{std::move(piece)});
  }
  if (at_end_ && over_) std::exchange(at_end_, nullptr)(shared_from_this());
}

void RunningCommand::wait(AtEnd at_end) {
  at_end_ = std::move(at_end);
  answer();
}

void RunningCommand::pull(Waker waker) {
  reader_ = std::move(waker);
  answer();
}

void RunningCommand::close_stdout() {
  closed_ = true;
  taken(std::exchange(pulled_, {}).size());
  if (child_ != nullptr) child_->close_stdout();
}

void RunningCommand::cancel() {
  if (child_ != nullptr) child_->end_tree(options_.cancel_grace);
}

void RunningCommand::abandon() {
  host_ = nullptr;
  at_end_ = nullptr;
  // Letting go of the child undoes the cycle between the two, should the reactor stop before the end.
  if (const auto child = std::exchange(child_, nullptr)) child->end_tree(options_.cancel_grace);
}

void RunningCommand::warn_of_survivors() {
  if (host_ == nullptr) return;
  const auto& survivors = finish_.end.survivors;
  constexpr std::size_t kShown = 5;
  std::string names;
  for (std::size_t i = 0; i < std::min(survivors.size(), kShown); ++i) {
    names += fmt::format("{}{} \"{}\"", i == 0 ? "" : ", ", survivors[i].pid, survivors[i].command);
  }
  if (survivors.size() > kShown) names += fmt::format(" and {} more", survivors.size() - kShown);
  const bool left_alone = !finish_.end.timed_out && !finish_.end.cancelled;
  host_->log(
      Severity::kWarn,
      left_alone
          ? fmt::format("\"{}\" ended but left processes that hold its output: {}; they run on, and what "
                        "they write is not read any more",
                        options_.shown, names)
          : fmt::format("\"{}\" could not be ended completely; still running: {}", options_.shown, names),
      Value());
}

}  // namespace sloth
