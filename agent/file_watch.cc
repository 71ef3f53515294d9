#include "agent/file_watch.h"

#include <fmt/format.h>
#include <sys/inotify.h>

#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "runner/os/descriptor.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

Error refused(int error) {
  const bool limit = error == EMFILE || error == ENFILE || error == ENOSPC || error == ENOMEM;
  return Error{limit ? Code::kLimit : Code::kIo,
               fmt::format("cannot watch a file: {}{}", reason_of(error),
                           limit ? " (fs.inotify.max_user_watches, fs.inotify.max_user_instances)" : "")};
}

}  // namespace

struct FileWatch::State {
  void read() {
    alignas(inotify_event) char buffer[16 * 1024];
    std::vector<std::shared_ptr<std::function<void()>>> calls;
    for (;;) {
      const ssize_t count = ::read(inotify.get(), buffer, sizeof(buffer));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      MutexLock lock(mutex);
      for (const char* at = buffer; at < buffer + count;) {
        const auto* event = reinterpret_cast<const inotify_event*>(at);
        at += sizeof(inotify_event) + event->len;
        if ((event->mask & IN_Q_OVERFLOW) != 0) {
          for (const auto& [number, call] : written) calls.push_back(call);
        } else if (const auto found = written.find(event->wd); found != written.end()) {
          calls.push_back(found->second);
        }
      }
    }
    for (const auto& call : calls) (*call)();
  }

  Descriptor inotify;
  Mutex mutex;
  std::map<int, std::shared_ptr<std::function<void()>>> written GUARDED_BY(mutex);
};

FileWatch::FileWatch(Executor& executor) : executor_(executor) {}

FileWatch::~FileWatch() {
  MutexLock lock(mutex_);
  if (state_ == nullptr) return;
  {
    MutexLock calls(state_->mutex);
    state_->written.clear();
  }
  // The descriptor goes with the state, when the reactor is done with it.
  if (watch_ != nullptr) watch_->close([state = state_] {});
}

Result<std::shared_ptr<FileWatch::State>> FileWatch::opened() {
  MutexLock lock(mutex_);
  if (state_ != nullptr) return state_;
  auto state = std::make_shared<State>();
  state->inotify.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!state->inotify.open()) return refused(errno);
  auto watch = executor_.reactor().watch(state->inotify.get(), Reactor::kReadable,
                                         [state](unsigned) { state->read(); });
  if (!watch) return watch.error();
  watch_ = std::move(*watch);
  state_ = state;
  return state;
}

Result<int> FileWatch::add(const std::string& path, std::function<void()> written) {
  auto state = opened();
  if (!state) return state.error();
  // Under the lock, so that the first event finds its call.
  MutexLock lock((*state)->mutex);
  const int number = ::inotify_add_watch((*state)->inotify.get(), path.c_str(), IN_MODIFY);
  if (number < 0) return refused(errno).in(path);
  (*state)->written[number] = std::make_shared<std::function<void()>>(std::move(written));
  return number;
}

void FileWatch::remove(int number) {
  std::shared_ptr<State> state;
  {
    MutexLock lock(mutex_);
    state = state_;
  }
  if (state == nullptr) return;
  MutexLock lock(state->mutex);
  if (state->written.erase(number) > 0) ::inotify_rm_watch(state->inotify.get(), number);
}

}  // namespace sloth
