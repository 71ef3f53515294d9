#include "agent/attempt_entry.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "agent/attempt_launch.h"
#include "agent/attempt_plan.h"
#include "agent/digest.h"
#include "agent/result_file.h"
#include "runner/base/log.h"
#include "runner/os/accounts.h"
#include "runner/os/descriptor.h"
#include "runner/os/file_tree.h"
#include "runner/os/os_error.h"
#include "runner/os/privileges.h"
#include "runner/os/process_tree.h"

namespace sloth {
namespace {

constexpr std::size_t kMostPlanBytes = std::size_t{80} << 20;
constexpr std::size_t kMostBlobBytes = std::size_t{64} << 20;
// From the signal that the CPU time is used up to the one that nobody survives.
constexpr std::chrono::seconds kPastCpu{30};

Result<std::string> read_all(int fd, std::size_t limit, const std::string& what) {
  std::string bytes;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t count = ::pread(fd, buffer, sizeof(buffer), static_cast<off_t>(bytes.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error{Code::kIo, fmt::format("cannot read {}: {}", what, reason_of(errno))};
    if (count == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(count));
    if (bytes.size() > limit)
      return Error{Code::kLimit, fmt::format("{} is larger than {} bytes", what, limit)};
  }
}

// As long as we still may: the directory is closed to the attempt's user.
Result<std::map<std::string, std::string>> read_blobs(const std::string& request) {
  auto digests = blobs_of(request);
  if (!digests) return digests.error();
  std::map<std::string, std::string> blobs;
  for (const std::string& digest : *digests) {
    if (blobs.contains(digest)) continue;
    const Descriptor file(::openat(kContentDescriptor, digest.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file.open()) return path_error("read", "content " + digest, errno);
    auto bytes = read_all(file.get(), kMostBlobBytes, "content " + digest);
    if (!bytes) return bytes.error();
    if (sha256(*bytes) != digest) return Error{Code::kInvalid, fmt::format("content {} is damaged", digest)};
    blobs.emplace(digest, std::move(*bytes));
  }
  return blobs;
}

void limit(__rlimit_resource resource, const char* name, std::uint64_t soft, std::uint64_t hard) {
  rlimit now{};
  ::getrlimit(resource, &now);
  for (const rlim_t most : {std::max<rlim_t>(now.rlim_max, hard), now.rlim_max}) {
    rlimit wanted{};
    wanted.rlim_max = std::min<rlim_t>(hard, most);
    wanted.rlim_cur = std::min<rlim_t>(soft, wanted.rlim_max);
    // Who may not raise it keeps what there is.
    if (::setrlimit(resource, &wanted) == 0) return;
  }
  log_warn("the limit of {} is not set: {}", name, reason_of(errno));
}

void set_limits(const AttemptLimits& limits) {
  const auto cpu = static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::seconds>(limits.cpu).count());
  limit(RLIMIT_CPU, "CPU time", cpu, cpu + static_cast<std::uint64_t>(kPastCpu.count()));
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  limit(RLIMIT_NOFILE, "open files", files.rlim_cur, limits.files);
  limit(RLIMIT_NPROC, "processes", limits.processes, limits.processes);
  limit(RLIMIT_CORE, "core files", 0, 0);
}

// When memory is short, an attempt goes before its agent does.
void offer_to_oom_killer() {
  const Descriptor file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  constexpr std::string_view kScore = "500";
  if (file.open() && ::write(file.get(), kScore.data(), kScore.size()) < 0) {
    log_warn("oom_score_adj: {}", reason_of(errno));
  }
}

Result<void> become(const AttemptAccount& account) {
  if (account.uid == ::geteuid()) return {};
  auto groups = groups_of(account.name, account.gid);
  if (!groups) return groups.error();
  return become_user(account.uid, account.gid, *groups);
}

// The first directory on the way to `path` that this user may not pass.
std::string closed_directory(const std::string& path) {
  for (std::size_t at = 0; at != std::string::npos;) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    if (::access(part.c_str(), X_OK) != 0) return part;
  }
  return path;
}

// Where the task works: as it says, else in the fresh directory made for it.
Result<void> enter_workdir(const AttemptPlan& plan, TaskRequest& request) {
  const std::string& wanted = request.spec->workdir;
  std::string directory = plan.workspace;
  const bool absolute = !wanted.empty() && wanted.front() == '/';
  if (absolute) {
    directory = wanted;
  } else if (!wanted.empty()) {
    const std::string inside = normal_path(wanted);
    if (inside == ".." || inside.starts_with("../")) {
      return Error{Code::kRefused,
                   fmt::format("workdir \"{}\": leads out of the directory made for the attempt", wanted)};
    }
    directory = join_path(plan.workspace, inside);
    if (auto made = make_directory(directory); !made) return made.error().in("workdir");
  }
  if (::chdir(directory.c_str()) != 0) {
    const int error = errno;
    if (error == EACCES) {
      return Error{Code::kRefused, fmt::format("workdir \"{}\": the user {} may not enter {}", directory,
                                               plan.account.name, closed_directory(directory))};
    }
    return Error{code_of(error), fmt::format("workdir \"{}\": {}", directory, reason_of(error))};
  }
  request.workdir = directory;
  request.fresh_workdir = !absolute;
  request.params.insert_or_assign(MapKey(std::string("workdir")), Value(directory));
  return {};
}

// `known`: the descriptors are an agent's.
Result<AttemptInput> enter(bool& known) {
  auto bytes = read_all(kPlanDescriptor, kMostPlanBytes, "the plan");
  if (!bytes) return bytes.error();
  auto decoded = decode_plan(*bytes);
  if (!decoded) return decoded.error();
  known = true;
  bytes->clear();
  auto blobs = read_blobs(decoded->request);
  if (!blobs) return blobs.error();
  ::close(kPlanDescriptor);
  ::close(kContentDescriptor);

  offer_to_oom_killer();
  set_limits(decoded->plan.limits);
  ::umask(077);
  if (auto became = become(decoded->plan.account); !became) return became.error();

  auto bundle = decode_bundle(decoded->request, [&](const std::string& digest) -> Result<std::string> {
    const auto found = blobs->find(digest);
    if (found == blobs->end()) return Error{Code::kNotFound, "content " + digest + " is not at hand"};
    return found->second;
  });
  if (!bundle) return bundle.error();
  AttemptInput input{decoded->plan.id, std::move(*bundle), std::move(decoded->plan), kSpoolDescriptor,
                     kResultDescriptor};
  if (auto entered = enter_workdir(input.plan, input.bundle.request); !entered) return entered.error();
  return input;
}

}  // namespace

sigset_t attempt_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGCHLD}) sigaddset(&signals, signal);
  return signals;
}

Result<AttemptInput> enter_attempt() {
  for (const int fd : {kPlanDescriptor, kContentDescriptor, kSpoolDescriptor, kResultDescriptor}) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return Error{
          Code::kInvalid,
          "\"sloth attempt\" is what an agent starts for itself; for a task of that name: sloth run attempt"};
    }
  }
  const sigset_t held_back = attempt_signals();
  ::pthread_sigmask(SIG_BLOCK, &held_back, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  become_subreaper();
  // It was started by another name (/proc/self/exe).
  ::prctl(PR_SET_NAME, "sloth", 0, 0, 0);

  bool known = false;
  auto input = enter(known);
  if (input || !known) return input;
  StoredResult result;
  result.clean = true;
  result.outcome.kind = OutcomeKind::kFailed;
  result.outcome.message = input.error().message;
  if (auto written = write_result(kResultDescriptor, result); !written)
    log_error("{}", written.error().message);
  return input;
}

}  // namespace sloth
