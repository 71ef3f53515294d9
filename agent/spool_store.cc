#include "agent/spool_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <map>
#include <utility>

#include "runner/base/mutex.h"
#include "runner/exec/executor.h"
#include "runner/os/descriptor.h"
#include "runner/os/file_tree.h"
#include "runner/os/os_error.h"

namespace sloth {
namespace {

// More would only queue at the same disk.
constexpr int kWriters = 4;

Result<void> write_all(int file, const std::string& path, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return path_error("write", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

Result<void> sync_directory(const std::string& directory) {
  const Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.open() || ::fsync(opened.get()) != 0) return path_error("sync", directory, errno);
  return {};
}

}  // namespace

struct SpoolStore::State : std::enable_shared_from_this<State> {
  struct Part {
    std::uint64_t offset = 0;
    std::string bytes;
    Size done;
    Result<std::uint64_t> end = std::uint64_t{0};
  };
  struct File {
    std::vector<Part> waiting;
    bool taken = false;  // by a writer, or in `ready`
  };

  State(std::string where, Strand home) : directory(std::move(where)), strand(std::move(home)) {}

  [[nodiscard]] std::string path(const std::string& attempt) const { return directory + "/" + attempt; }

  [[nodiscard]] Result<std::uint64_t> size_of(const std::string& attempt) const {
    const auto info = stat_file(path(attempt));
    if (info) return info->size;
    if (info.error().code == Code::kNotFound) return std::uint64_t{0};
    return info.error();
  }

  void start_writer() REQUIRES(mutex) {
    if (writers >= kWriters || ready.empty()) return;
    if (strand.executor().post_blocking([self = shared_from_this()] { self->write_ready(); })) ++writers;
  }

  // One file's turn; then to the end of the lane, so that nobody waits for a busy neighbour.
  void write_ready() EXCLUDES(mutex) {
    std::string attempt;
    std::vector<Part> parts;
    {
      MutexLock lock(mutex);
      if (closed || ready.empty()) return leave();
      attempt = std::move(ready.front());
      ready.pop_front();
      parts.swap(files[attempt].waiting);
    }
    write(attempt, parts);
    tell(std::move(parts));
    MutexLock lock(mutex);
    const auto file = files.find(attempt);
    if (file->second.waiting.empty()) {
      files.erase(file);
    } else {
      ready.push_back(attempt);
    }
    leave();
    start_writer();
  }

  void leave() REQUIRES(mutex) {
    --writers;
    if (writers == 0) idle.notify_all();
  }

  void write(const std::string& attempt, std::vector<Part>& parts) const {
    const Result<void> written = write_parts(path(attempt), parts);
    for (Part& part : parts) {
      if (written) {
        part.end = part.offset + part.bytes.size();
      } else {
        part.end = written.error();
      }
    }
  }

  Result<void> write_parts(const std::string& file_path, const std::vector<Part>& parts) const {
    const Descriptor file(::open(file_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.open()) return path_error("open", file_path, errno);
    struct stat found {};
    if (::fstat(file.get(), &found) != 0) return path_error("look at", file_path, errno);
    auto end = static_cast<std::uint64_t>(found.st_size);
    const std::uint64_t first = parts.front().offset;
    if (end > first) {
      if (::ftruncate(file.get(), static_cast<off_t>(first)) != 0) return path_error("cut", file_path, errno);
      end = first;
    }
    for (const Part& part : parts) {
      if (part.offset != end) {
        return Error{Code::kInvalid, fmt::format("spool {}: it ends at {}, but {} bytes were kept in it",
                                                 file_path, end, part.offset)};
      }
      if (auto put = write_all(file.get(), file_path, part.bytes, end); !put) return put;
      end += part.bytes.size();
    }
    if (::fdatasync(file.get()) != 0) return path_error("sync", file_path, errno);
    return first == 0 ? sync_directory(directory) : Result<void>();
  }

  void tell(std::vector<Part> parts) {
    for (Part& part : parts) tell(std::move(part.done), std::move(part.end));
  }

  template <class T>
  void tell(UniqueFunction<void(Result<T>)> done, Result<T> result) {
    strand.post([self = shared_from_this(), done = std::move(done), result = std::move(result)]() mutable {
      {
        MutexLock lock(self->mutex);
        if (self->closed) return;
      }
      done(std::move(result));
    });
  }

  const std::string directory;
  const Strand strand;
  Mutex mutex;
  CondVar idle;
  int writers GUARDED_BY(mutex) = 0;
  bool closed GUARDED_BY(mutex) = false;
  std::map<std::string, File> files GUARDED_BY(mutex);  // those that have something to write
  std::deque<std::string> ready GUARDED_BY(mutex);
};

SpoolStore::SpoolStore(std::string directory, Strand strand)
    : state_(std::make_shared<State>(std::move(directory), std::move(strand))) {}

SpoolStore::~SpoolStore() {
  std::vector<State::Part> dropped;  // destroyed without the lock
  MutexLock lock(state_->mutex);
  state_->closed = true;
  for (auto& [attempt, file] : state_->files) {
    for (State::Part& part : file.waiting) dropped.push_back(std::move(part));
    file.waiting.clear();
  }
  while (state_->writers > 0) state_->idle.wait(state_->mutex);
}

Result<void> SpoolStore::prepare() {
  if (exists(state_->directory)) return {};
  if (auto made = make_directory(state_->directory); !made) return made;
  if (::chmod(state_->directory.c_str(), 0700) != 0) return path_error("protect", state_->directory, errno);
  return {};
}

Result<std::vector<std::string>> SpoolStore::list(std::int64_t before_ms) const {
  auto names = list_directory(state_->directory);
  if (!names) return names;
  std::vector<std::string> old;
  for (std::string& name : *names) {
    const auto info = stat_file(state_->path(name));
    if (info && info->mtime_ms < before_ms) old.push_back(std::move(name));
  }
  return old;
}

void SpoolStore::close() {
  MutexLock lock(state_->mutex);
  state_->closed = true;
}

Result<std::uint64_t> SpoolStore::size_now(const std::string& attempt) const {
  return state_->size_of(attempt);
}

void SpoolStore::size(const std::string& attempt, Size done) {
  state_->strand.executor().post_blocking([state = state_, attempt, done = std::move(done)]() mutable {
    state->tell(std::move(done), state->size_of(attempt));
  });
}

void SpoolStore::append(const std::string& attempt, std::uint64_t offset, std::string bytes, Size done) {
  MutexLock lock(state_->mutex);
  if (state_->closed) return;
  State::File& file = state_->files[attempt];
  file.waiting.push_back({offset, std::move(bytes), std::move(done)});
  if (file.taken) return;
  file.taken = true;
  state_->ready.push_back(attempt);
  state_->start_writer();
}

void SpoolStore::read(const std::string& attempt, std::uint64_t offset, std::size_t limit, Bytes done) {
  state_->strand.executor().post_blocking(
      [state = state_, attempt, offset, limit, done = std::move(done)]() mutable {
        const std::string path = state->path(attempt);
        Result<std::string> read = std::string();
        const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!file.open()) {
          read = path_error("open", path, errno);
        } else {
          std::string bytes(limit, '\0');
          ssize_t got = 0;
          do {
            got = ::pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
          } while (got < 0 && errno == EINTR);
          if (got < 0) {
            read = path_error("read", path, errno);
          } else {
            bytes.resize(static_cast<std::size_t>(got));
            read = std::move(bytes);
          }
        }
        state->tell(std::move(done), std::move(read));
      });
}

void SpoolStore::remove(std::vector<std::string> attempts) {
  state_->strand.executor().post_blocking([state = state_, attempts = std::move(attempts)] {
    for (const std::string& attempt : attempts) static_cast<void>(remove_path(state->path(attempt), false));
  });
}

}  // namespace sloth
