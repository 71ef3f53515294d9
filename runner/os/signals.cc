#include "runner/os/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <thread>
#include <utility>

#include "runner/base/check.h"
#include "runner/os/descriptor.h"

namespace sloth {
namespace {

// Those of the watched signals that are not ignored: nohup and a shell's background jobs start programs
// with SIGHUP or SIGINT ignored, and mean it. (A blocked signal would be queued all the same.)
sigset_t watched_signals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction current {};
    SLOTH_CHECK(::sigaction(signal, nullptr, &current) == 0);
    if (current.sa_handler != SIG_IGN) sigaddset(&watched, signal);
  }
  return watched;
}

}  // namespace

class SignalWatch::Impl {
 public:
  explicit Impl(UniqueFunction<void(int, int)> handler) : handler_(std::move(handler)) {
    ::signal(SIGPIPE, SIG_IGN);
    const sigset_t watched = watched_signals();
    SLOTH_CHECK(::pthread_sigmask(SIG_BLOCK, &watched, &mask_before_) == 0);
    signals_.reset(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    stop_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    SLOTH_CHECK(signals_.open() && stop_.open());
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    SLOTH_CHECK(std::this_thread::get_id() != thread_.get_id());
    const std::uint64_t one = 1;
    SLOTH_CHECK(::write(stop_.get(), &one, sizeof(one)) == sizeof(one));
    thread_.join();
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

 private:
  void run() {
    // Signals meant for the threads that run Lua: their preemption and a profiler.
    sigset_t foreign;
    sigemptyset(&foreign);
    sigaddset(&foreign, SIGURG);
    sigaddset(&foreign, SIGPROF);
    ::pthread_sigmask(SIG_BLOCK, &foreign, nullptr);

    int count = 0;
    for (;;) {
      pollfd waiting[] = {{stop_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
      if (::poll(waiting, 2, -1) < 0) {
        SLOTH_CHECK(errno == EINTR);
        continue;
      }
      if (waiting[0].revents != 0) return;
      signalfd_siginfo received{};
      if (::read(signals_.get(), &received, sizeof(received)) == sizeof(received)) {
        handler_(static_cast<int>(received.ssi_signo), ++count);
      }
    }
  }

  UniqueFunction<void(int, int)> handler_;
  sigset_t mask_before_;
  Descriptor signals_;
  Descriptor stop_;
  std::thread thread_;
};

SignalWatch::SignalWatch(UniqueFunction<void(int, int)> handler)
    : impl_(std::make_unique<Impl>(std::move(handler))) {}

SignalWatch::~SignalWatch() = default;

}  // namespace sloth
