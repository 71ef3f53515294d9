#include "modules/child.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "runner/base/check.h"

namespace sloth {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;
// Reads in one turn, so that one noisy child does not keep the reactor from the others.
constexpr int kReadsAtOnce = 16;
constexpr Duration kSlowestLook = std::chrono::milliseconds(100);
// How long the leader may take to be reported dead after its tree was killed.
constexpr Duration kLastWait = std::chrono::seconds(1);

TimePoint now() { return std::chrono::steady_clock::now(); }

bool has_exited(int pidfd) {
  pollfd entry{pidfd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

}  // namespace

Result<std::shared_ptr<ChildProcess>> ChildProcess::start(Executor& executor, Options options) {
  auto child = spawn(options.spawn);
  if (!child) return child.error();
  std::shared_ptr<ChildProcess> self(new ChildProcess(executor, std::move(options), *child));
  if (!self->reactor_.post([self] { self->begin(); })) {
    return Error{Code::kUnavailable, "this program is ending: no more commands are started"};
  }
  return self;
}

ChildProcess::ChildProcess(Executor& executor, Options options, const Child& child)
    : executor_(executor),
      reactor_(executor.reactor()),
      options_(std::move(options)),
      child_(child),
      started_(now()),
      streams_{{OutputStream::kStdout, child.stdout_fd, nullptr},
               {OutputStream::kStderr, child.stderr_fd, nullptr}} {}

// Before finish() only when the executor stops under a running child.
ChildProcess::~ChildProcess() {
  if (!reaped_) {
    kill_tree(child_.pid, options_.spawn.attempt);
    if (has_exited(child_.pidfd)) reap(child_);
  }
  for (Stream& stream : streams_) close(stream.fd, stream.watch);
  close(child_.stdin_fd, input_watch_);
  close(child_.pidfd, exit_watch_);
}

void ChildProcess::end_tree(Duration grace) {
  reactor_.post([self = shared_from_this(), grace] { self->terminate(false, grace); });
}

void ChildProcess::resume() {
  reactor_.post([self = shared_from_this()] {
    self->paused_ = false;
    self->watch_streams();
  });
}

void ChildProcess::close_stdout() {
  reactor_.post([self = shared_from_this()] {
    self->close(self->streams_[0].fd, self->streams_[0].watch);
    self->end_if_over();
  });
}

void ChildProcess::watch_streams() {
  for (Stream& stream : streams_) {
    if (stream.watch != nullptr) stream.watch->set(paused_ ? 0 : Reactor::kReadable);
  }
}

void ChildProcess::begin() {
  const auto self = shared_from_this();
  auto exit_watch = reactor_.watch(child_.pidfd, Reactor::kReadable, [self](unsigned) { self->on_exit(); });
  bool watched = exit_watch.ok();
  if (watched) exit_watch_ = *exit_watch;
  for (Stream& stream : streams_) {
    if (stream.fd < 0) continue;
    auto watch =
        reactor_.watch(stream.fd, Reactor::kReadable, [self, &stream](unsigned) { self->read_from(stream); });
    watched = watched && watch.ok();
    if (watch) stream.watch = *watch;
  }
  if (child_.stdin_fd >= 0) {
    auto watch =
        reactor_.watch(child_.stdin_fd, Reactor::kWritable, [self](unsigned) { self->write_input(); });
    watched = watched && watch.ok();
    if (watch) input_watch_ = *watch;
  }
  if (!watched) {
    // Only when the reactor stops meanwhile: nobody would hear of this child again.
    terminate(false, Duration::zero());
    return;
  }
  if (options_.timeout > Duration::zero()) {
    timeout_ = executor_.run_at(started_ + options_.timeout, [weak = weak_from_this()] {
      const auto child = weak.lock();
      if (!child) return;
      child->reactor_.post([child] { child->terminate(true, child->options_.grace); });
    });
  }
}

void ChildProcess::read_from(Stream& stream) {
  char buffer[kReadBytes];
  for (int reads = 0; reads < kReadsAtOnce && stream.fd >= 0 && !paused_; ++reads) {
    const ssize_t count = ::read(stream.fd, buffer, sizeof(buffer));
    if (count > 0) {
      if (!options_.output(stream.name, std::string_view(buffer, static_cast<std::size_t>(count)))) {
        paused_ = true;
        watch_streams();
      }
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    close(stream.fd, stream.watch);
    end_if_over();
  }
}

void ChildProcess::write_input() {
  while (child_.stdin_fd >= 0 && written_ < options_.input.size()) {
    const ssize_t count =
        ::write(child_.stdin_fd, options_.input.data() + written_, options_.input.size() - written_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) break;  // it does not read: its own affair
    written_ += static_cast<std::size_t>(count);
  }
  close(child_.stdin_fd, input_watch_);
  options_.input = {};
}

void ChildProcess::on_exit() {
  if (!has_exited(child_.pidfd) || std::exchange(exited_, true)) return;
  // The pidfd stays open and so does its watch: closing one means closing both.
  exit_watch_->set(0);
  close(child_.stdin_fd, input_watch_);
  if (ending_) {
    check_tree();
    return;
  }
  end_if_over();
  if (!over_) on_reactor(&ChildProcess::linger_over, options_.linger);
}

void ChildProcess::linger_over() {
  if (over_ || ending_ || naming_) return;
  if (paused_) {
    // What is in the pipe was written in time: whoever reads it is slow.
    on_reactor(&ChildProcess::linger_over, kSlowestLook);
    return;
  }
  naming_ = true;
  close_streams(true);
  on_blocking_lane([self = shared_from_this()] {
    auto left = tree_of(self->child_.pid, self->options_.spawn.attempt);
    self->reactor_.post([self, left = std::move(left)]() mutable {
      self->naming_ = false;
      self->end_.survivors = std::move(left);
      self->end_if_over();
    });
  });
}

void ChildProcess::terminate(bool timed_out, Duration grace) {
  if (over_) return;
  const TimePoint deadline = now() + grace;
  kill_at_ = ending_ ? std::min(kill_at_, deadline) : deadline;
  if (std::exchange(ending_, true)) return;
  end_.timed_out = timed_out;
  end_.cancelled = !timed_out;
  close(child_.stdin_fd, input_watch_);
  checking_ = true;
  on_blocking_lane([self = shared_from_this()] {
    signal_tree(self->child_.pid, self->options_.spawn.attempt, SIGTERM);
    self->reactor_.post([self] {
      self->checking_ = false;
      self->check_tree();
    });
  });
}

// The leader stays unreaped until its tree is gone, so that its number cannot come to mean another group.
void ChildProcess::check_tree() {
  if (over_ || std::exchange(checking_, true)) return;
  const bool kill = now() >= kill_at_;
  on_blocking_lane([self = shared_from_this(), kill] {
    if (kill) kill_tree(self->child_.pid, self->options_.spawn.attempt);
    auto left = tree_of(self->child_.pid, self->options_.spawn.attempt);
    self->reactor_.post([self, kill, left = std::move(left)]() mutable {
      self->checking_ = false;
      self->tree_checked(kill, std::move(left));
    });
  });
}

void ChildProcess::tree_checked(bool killed, std::vector<ProcessInfo> left) {
  if (over_) return;
  if (exited_ && (left.empty() || killed)) {
    end_.survivors = std::move(left);
    finish();
  } else if (killed) {
    // A leader that may not be signalled (another user's) is given up and named.
    end_.survivors = std::move(left);
    on_reactor(&ChildProcess::finish, kLastWait);
  } else {
    on_reactor(&ChildProcess::check_tree,
               std::min(check_again_, std::max(kill_at_ - now(), Duration::zero())));
    check_again_ = std::min(check_again_ * 2, kSlowestLook);
  }
}

void ChildProcess::close_streams(bool drain) {
  for (Stream& stream : streams_) {
    if (stream.fd < 0) continue;
    if (drain) {
      paused_ = false;  // what is left is at most a pipe full
      read_from(stream);
    }
    close(stream.fd, stream.watch);
  }
}

void ChildProcess::close(int& fd, std::shared_ptr<Reactor::Watch>& watch) {
  const int closed = std::exchange(fd, -1);
  if (watch != nullptr) {
    std::exchange(watch, nullptr)->close([closed] { ::close(closed); });
  } else if (closed >= 0) {
    ::close(closed);
  }
}

void ChildProcess::end_if_over() {
  if (exited_ && !ending_ && !naming_ && streams_[0].fd < 0 && streams_[1].fd < 0) finish();
}

void ChildProcess::finish() {
  if (std::exchange(over_, true)) return;
  if (timeout_ != 0) executor_.cancel(timeout_);
  close_streams(true);
  if (exited_ || has_exited(child_.pidfd)) {
    end_.status = reap(child_);
  } else {
    end_.status = ExitStatus{128 + SIGKILL, SIGKILL};
  }
  reaped_ = true;
  end_.took = now() - started_;
  close(child_.stdin_fd, input_watch_);
  close(child_.pidfd, exit_watch_);
  auto done = std::exchange(options_.done, nullptr);
  options_.output = nullptr;
  done(std::move(end_));
}

void ChildProcess::on_reactor(void (ChildProcess::*step)(), Duration after) {
  reactor_.post_at(now() + after, [self = shared_from_this(), step] { ((*self).*step)(); });
}

void ChildProcess::on_blocking_lane(Job job) {
  const auto shared = std::make_shared<Job>(std::move(job));
  if (!executor_.post_blocking([shared] { (*shared)(); })) (*shared)();
}

}  // namespace sloth
