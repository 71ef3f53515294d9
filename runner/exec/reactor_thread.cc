#include "runner/exec/reactor_thread.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "runner/exec/thread.h"
#include "runner/exec/timer_queue.h"

namespace sloth {
namespace {

// Timers handed over in one turn of the loop, so that descriptors are not kept waiting.
constexpr std::size_t kDueAtOnce = 256;

Error not_watchable(int fd, int error) {
  if (error == EPERM) {
    return Error{Code::kIo, fmt::format("watch descriptor {}: the kernel cannot wait for a regular file or a "
                                        "directory; read it on the blocking lane",
                                        fd)};
  }
  if (error == EEXIST) {
    return Error{Code::kIo, fmt::format("watch descriptor {}: it is being watched already", fd)};
  }
  return Error{Code::kIo, fmt::format("watch descriptor {}: {}", fd, std::generic_category().message(error))};
}

// Asio accepts files that epoll refuses and reports it only at the first wait: too late for our caller.
int probe(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return errno;
  if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) return 0;
  const int scratch = epoll_create1(EPOLL_CLOEXEC);
  if (scratch < 0) return errno;
  epoll_event event{};
  const int error = epoll_ctl(scratch, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
  ::close(scratch);
  return error;
}

}  // namespace

// What lives on the reactor's thread. Functions of the second half are called only there.
class ReactorThread::Loop : public std::enable_shared_from_this<Loop> {
 public:
  explicit Loop(UniqueFunction<void(Job)> due) : due_(std::move(due)) {}

  void run();
  void request_stop() EXCLUDES(mutex_);
  bool on_thread() const { return current == this; }

  // `from_user`: refused as soon as stop begins, else only when the loop has ended.
  bool post(bool from_user, Job job) EXCLUDES(mutex_);
  std::uint64_t add_timer(TimePoint when, TimerQueue::Lane lane, Job job);
  TimerQueue& timers() { return timers_; }
  asio::io_context& io() { return io_; }

  void adopt(std::shared_ptr<WatchState> watch);
  void forget(const std::shared_ptr<WatchState>& watch) { watches_.erase(watch); }

 private:
  void shut();
  void arm_timer();
  void fire();

  static constinit thread_local const Loop* current;

  asio::io_context io_{1};
  TimerQueue timers_;
  std::atomic<bool> arming_{false};  // a call of arm_timer is on its way

  Mutex mutex_;
  bool accepts_ GUARDED_BY(mutex_) = true;
  bool ended_ GUARDED_BY(mutex_) = false;

  UniqueFunction<void(Job)> due_;
  asio::executor_work_guard<asio::io_context::executor_type> stay_{io_.get_executor()};
  asio::steady_timer timer_{io_};
  std::optional<TimePoint> armed_;
  std::vector<TimerQueue::Due> batch_;
  std::unordered_set<std::shared_ptr<WatchState>> watches_;
  bool shut_ = false;
};

// A watch. All but set() and close() is of the reactor's thread.
class ReactorThread::WatchState : public std::enable_shared_from_this<WatchState> {
 public:
  WatchState(std::shared_ptr<Loop> loop, unsigned directions, UniqueFunction<void(unsigned)> ready)
      : loop_(std::move(loop)), descriptor_(loop_->io()), wanted_(directions), ready_(std::move(ready)) {}

  // Before anyone else knows of this watch.
  int open(int fd) {
    std::error_code error;
    descriptor_.assign(fd, error);
    return error.value();
  }

  // The descriptor is the caller's: Asio would close it.
  ~WatchState() { release(); }
  WatchState(const WatchState&) = delete;
  WatchState& operator=(const WatchState&) = delete;

  void set(unsigned directions);
  void close(Job closed);

  void arm();
  void end();

 private:
  void release() {
    if (descriptor_.is_open()) descriptor_.release();
  }
  void wait_for(unsigned direction, asio::posix::stream_descriptor::wait_type type);
  void on_ready(unsigned direction);

  const std::shared_ptr<Loop> loop_;
  asio::posix::stream_descriptor descriptor_;
  unsigned wanted_;
  unsigned waiting_ = 0;  // directions with a wait under way; may be more than are wanted
  UniqueFunction<void(unsigned)> ready_;
  bool ended_ = false;
  std::atomic<bool> closing_{false};
};

// The caller's end of it.
class ReactorThread::WatchHandle final : public Reactor::Watch {
 public:
  explicit WatchHandle(std::shared_ptr<WatchState> state) : state_(std::move(state)) {}
  ~WatchHandle() override { state_->close(Job()); }
  void set(unsigned directions) override { state_->set(directions); }
  void close(Job closed) override { state_->close(std::move(closed)); }

 private:
  const std::shared_ptr<WatchState> state_;
};

constinit thread_local const ReactorThread::Loop* ReactorThread::Loop::current = nullptr;

void ReactorThread::Loop::run() {
  current = this;
  io_.run();
  {
    MutexLock lock(mutex_);
    ended_ = true;
  }
  // What was accepted between the end of run() and the lock.
  io_.restart();
  io_.poll();
  current = nullptr;
}

void ReactorThread::Loop::request_stop() {
  MutexLock lock(mutex_);
  if (!std::exchange(accepts_, false)) return;
  asio::post(io_, [this] { shut(); });
}

bool ReactorThread::Loop::post(bool from_user, Job job) {
  MutexLock lock(mutex_);
  if (ended_ || (from_user && !accepts_)) return false;
  asio::post(io_, [job = std::move(job)]() mutable { run_job(job); });
  return true;
}

std::uint64_t ReactorThread::Loop::add_timer(TimePoint when, TimerQueue::Lane lane, Job job) {
  const TimerQueue::Added added = timers_.add(when, lane, std::move(job));
  if (!added.earliest) return added.id;
  if (on_thread()) {
    arm_timer();
  } else if (!arming_.exchange(true)) {
    post(false, [this] {
      arming_.store(false);
      arm_timer();
    });
  }
  return added.id;
}

void ReactorThread::Loop::adopt(std::shared_ptr<WatchState> watch) {
  if (shut_) {
    watch->end();
    return;
  }
  watch->arm();
  watches_.insert(std::move(watch));
}

void ReactorThread::Loop::shut() {
  shut_ = true;
  for (const auto& watch : std::exchange(watches_, {})) watch->end();
  timers_.close();
  timer_.cancel();
  stay_.reset();
}

void ReactorThread::Loop::arm_timer() {
  const std::optional<TimePoint> next = timers_.next();
  // A timer armed too early fires for nothing and comes back here.
  if (shut_ || !next || (armed_ && *armed_ <= *next)) return;
  armed_ = next;
  timer_.expires_at(*next);
  timer_.async_wait([this](const std::error_code& error) {
    if (error) return;
    armed_.reset();
    fire();
  });
}

void ReactorThread::Loop::fire() {
  timers_.take_due(std::chrono::steady_clock::now(), kDueAtOnce, batch_);
  const bool more = batch_.size() == kDueAtOnce;
  for (TimerQueue::Due& due : batch_) {
    if (due.lane == TimerQueue::Lane::kReactor) {
      run_job(due.job);
    } else {
      due_(std::move(due.job));
    }
  }
  batch_.clear();
  if (more) {
    asio::post(io_, [this] { fire(); });
  } else {
    arm_timer();
  }
}

void ReactorThread::WatchState::set(unsigned directions) {
  if (loop_->on_thread()) {
    wanted_ = directions;
    arm();
    return;
  }
  loop_->post(false, [self = shared_from_this(), directions] {
    self->wanted_ = directions;
    self->arm();
  });
}

void ReactorThread::WatchState::close(Job closed) {
  if (closing_.exchange(true) && !closed) return;
  // Two steps, for what a lambda holds is gone once a refused post has destroyed it.
  auto after = std::make_shared<Job>(std::move(closed));
  const bool accepted = loop_->post(false, [self = shared_from_this(), after] {
    self->end();
    self->loop_->forget(self);
    if (*after) run_job(*after);
  });
  if (!accepted && *after) run_job(*after);
}

void ReactorThread::WatchState::arm() {
  if (ended_ || closing_.load()) return;
  const unsigned missing = wanted_ & ~waiting_;
  if ((missing & kReadable) != 0) wait_for(kReadable, asio::posix::stream_descriptor::wait_read);
  if ((missing & kWritable) != 0) wait_for(kWritable, asio::posix::stream_descriptor::wait_write);
}

void ReactorThread::WatchState::wait_for(unsigned direction, asio::posix::stream_descriptor::wait_type type) {
  waiting_ |= direction;
  // A failed wait counts as ready: the caller's read or write then meets the same failure and says so.
  descriptor_.async_wait(
      type, [self = shared_from_this(), direction](const std::error_code&) { self->on_ready(direction); });
}

void ReactorThread::WatchState::on_ready(unsigned direction) {
  waiting_ &= ~direction;
  if (ended_ || closing_.load()) return;
  if ((wanted_ & direction) != 0) {
    Job call = [this, direction] { ready_(direction); };
    run_job(call);
  }
  arm();
}

void ReactorThread::WatchState::end() {
  if (std::exchange(ended_, true)) return;
  // Takes the descriptor out of epoll before its owner closes it: a copy in a child that is just being
  // made would keep the entry alive, and its events would hit whoever has the number next.
  release();
  ready_ = nullptr;
}

ReactorThread::ReactorThread(UniqueFunction<void(Job)> due) : due_(std::move(due)) {}

ReactorThread::~ReactorThread() { stop(); }

Result<std::shared_ptr<Reactor::Watch>> ReactorThread::watch(int fd, unsigned directions,
                                                             UniqueFunction<void(unsigned)> ready) {
  const Error stopped{Code::kIo, fmt::format("watch descriptor {}: the reactor has stopped", fd)};
  Loop* const loop = running();
  if (loop == nullptr) return stopped;
  if (const int error = probe(fd); error != 0) return not_watchable(fd, error);
  const auto state = std::make_shared<WatchState>(loop->shared_from_this(), directions, std::move(ready));
  if (const int error = state->open(fd); error != 0) return not_watchable(fd, error);
  if (loop->on_thread()) {
    loop->adopt(state);
  } else if (!loop->post(true, [loop, state] { loop->adopt(state); })) {
    return stopped;
  }
  return std::shared_ptr<Watch>(std::make_shared<WatchHandle>(state));
}

bool ReactorThread::post(Job job) {
  Loop* const loop = running();
  return loop != nullptr && loop->post(true, std::move(job));
}

bool ReactorThread::post_at(TimePoint when, Job job) {
  Loop* const loop = running();
  return loop != nullptr && loop->add_timer(when, TimerQueue::Lane::kReactor, std::move(job)) != 0;
}

bool ReactorThread::on_thread() const {
  MutexLock lock(mutex_);
  return loop_ != nullptr && loop_->on_thread();
}

std::uint64_t ReactorThread::run_at(TimePoint when, Job job) {
  Loop* const loop = running();
  return loop == nullptr ? 0 : loop->add_timer(when, TimerQueue::Lane::kCpu, std::move(job));
}

bool ReactorThread::cancel(std::uint64_t timer) {
  std::shared_ptr<Loop> loop;
  {
    MutexLock lock(mutex_);
    loop = loop_;
  }
  return loop != nullptr && loop->timers().cancel(timer);
}

void ReactorThread::drop_timers() {
  std::shared_ptr<Loop> loop;
  {
    MutexLock lock(mutex_);
    timers_dropped_ = true;
    loop = loop_;
  }
  if (loop != nullptr) loop->timers().close();
}

void ReactorThread::stop() {
  std::thread thread;
  std::shared_ptr<Loop> loop;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    loop = loop_;
    thread.swap(thread_);
  }
  if (!thread.joinable()) return;
  SLOTH_CHECK(!loop->on_thread());
  loop->request_stop();
  thread.join();
}

ReactorThread::Loop* ReactorThread::running() {
  MutexLock lock(mutex_);
  if (stopped_) return nullptr;
  if (loop_ == nullptr) {
    loop_ = std::make_shared<Loop>(std::move(due_));
    if (timers_dropped_) loop_->timers().close();
    thread_ = start_thread_or_abort("sloth-io", Interruptible::kNo, [loop = loop_] { loop->run(); });
  }
  return loop_.get();
}

}  // namespace sloth
