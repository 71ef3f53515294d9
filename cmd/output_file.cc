#include "cmd/output_file.h"

#include <poll.h>
#include <unistd.h>

#include <limits.h>
#include <algorithm>
#include <cerrno>

namespace sloth {
namespace {

constexpr std::size_t kMostQueued = std::size_t{8} << 20;

}  // namespace

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd entry{fd, POLLOUT, 0};
      ::poll(&entry, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

OutputFile::~OutputFile() { flush(); }

void OutputFile::write(std::string_view bytes) {
  bool start = false;
  {
    MutexLock lock(mutex_);
    if (queue_.empty() && !draining_) write_now(bytes);
    if (broken_ || bytes.empty()) return;
    queue_.append(bytes);
    start = !draining_;
    draining_ = true;
  }
  if (start && !executor_.post_blocking([this] { drain(); })) drain();
  MutexLock lock(mutex_);
  while (queue_.size() > kMostQueued && !broken_) changed_.wait(mutex_);
}

void OutputFile::write_now(std::string_view& bytes) {
  while (!bytes.empty() && !broken_) {
    // A pipe that poll() calls writable takes PIPE_BUF bytes without waiting.
    pollfd entry{fd_, POLLOUT, 0};
    if (::poll(&entry, 1, 0) != 1 || (entry.revents & POLLOUT) == 0) {
      broken_ = (entry.revents & (POLLERR | POLLNVAL)) != 0;
      return;
    }
    const ssize_t count = ::write(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      broken_ = true;
    }
  }
}

void OutputFile::drain() {
  for (;;) {
    std::string batch;
    {
      MutexLock lock(mutex_);
      if (queue_.empty() || broken_) {
        queue_.clear();
        draining_ = false;
        changed_.notify_all();
        return;
      }
      batch.swap(queue_);
      changed_.notify_all();
    }
    if (!write_all(fd_, batch)) {
      MutexLock lock(mutex_);
      broken_ = true;
    }
  }
}

void OutputFile::flush() {
  MutexLock lock(mutex_);
  while (draining_) changed_.wait(mutex_);
}

}  // namespace sloth
