#include "modules/http_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <system_error>
#include <utility>

#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"

namespace sloth {
namespace {

constexpr std::size_t kMostPending = std::size_t{1} << 20;

}  // namespace

// The blocking half. Its last owner removes what was not renamed, on whatever lane that is.
class HttpFile::Disk {
 public:
  explicit Disk(std::string path) : path_(std::move(path)) {}
  ~Disk() { remove(); }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  std::optional<Error> write(std::string_view data) {
    if (auto error = open(); error) return error;
    while (!data.empty()) {
      const ssize_t written = ::write(fd_, data.data(), data.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failure("write", temporary_);
      data.remove_prefix(static_cast<std::size_t>(written));
    }
    return std::nullopt;
  }

  std::optional<Error> finish() {
    if (auto error = open(); error) return error;
    if (fsync(fd_) != 0) return failure("write", temporary_);
    close(std::exchange(fd_, -1));
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return failure("write", path_);
    temporary_.clear();
    return std::nullopt;
  }

  void remove() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
    if (!temporary_.empty()) unlink(temporary_.c_str());
    temporary_.clear();
  }

 private:
  // Beside the target, since a rename must not cross file systems.
  std::optional<Error> open() {
    if (fd_ >= 0) return std::nullopt;
    std::random_device random;
    for (int attempt = 0; attempt < 100; ++attempt) {
      std::string name = fmt::format("{}.{:08x}.part", path_, random());
      fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd_ >= 0) {
        temporary_ = std::move(name);
        return std::nullopt;
      }
      if (errno != EEXIST) break;
    }
    return failure("create", path_);
  }

  static Error failure(const char* what, const std::string& path) {
    return Error{Code::kIo, fmt::format("{} {}: {}", what, path, std::generic_category().message(errno))};
  }

  const std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

HttpFile::HttpFile(Executor& executor, std::string path, UniqueFunction<void()> drained)
    : executor_(executor), disk_(std::make_shared<Disk>(std::move(path))), drained_(std::move(drained)) {}

HttpFile::~HttpFile() = default;

bool HttpFile::write(std::string_view data) {
  if (error_) return true;
  if (pending_.size() >= kMostPending) {
    refused_ = true;
    return false;
  }
  pending_ += data;
  taken_ += data.size();
  start_job();
  return true;
}

void HttpFile::commit(UniqueFunction<void(Result<std::uint64_t>)> done) {
  done_ = std::move(done);
  committing_ = true;
  start_job();
}

void HttpFile::abandon() {
  abandoned_ = true;
  drained_ = nullptr;
  done_ = nullptr;
  // The job under way is the last owner otherwise, and removes the file itself.
  if (!busy_) executor_.post_blocking([disk = disk_] { disk->remove(); });
}

void HttpFile::start_job() {
  if (busy_) return;
  busy_ = true;
  const bool last = committing_;
  const bool accepted =
      executor_.post_blocking([self = shared_from_this(), &executor = executor_, disk = disk_,
                               data = std::exchange(pending_, {}), last]() mutable {
        auto error = disk->write(data);
        if (!error && last) error = disk->finish();
        executor.reactor().post([self = std::move(self), error = std::move(error), last]() mutable {
          self->job_done(std::move(error), last);
        });
      });
  if (!accepted) job_done(Error{Code::kCancelled, "the program is ending"}, last);
}

void HttpFile::job_done(std::optional<Error> error, bool last) {
  busy_ = false;
  if (abandoned_) {
    executor_.post_blocking([disk = disk_] { disk->remove(); });
    return;
  }
  if (error && !error_) error_ = std::move(error);
  if (committing_ && (last || error_)) {
    auto done = std::exchange(done_, nullptr);
    if (error_) {
      done(*error_);
    } else {
      done(taken_);
    }
    return;
  }
  // A commit that came while the last write ran still has to finish the file.
  if (committing_ || !pending_.empty()) start_job();
  if (std::exchange(refused_, false) && drained_) drained_();
}

}  // namespace sloth
