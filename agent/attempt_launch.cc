#include "agent/attempt_launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "agent/attempt_children.h"
#include "agent/attempt_plan.h"
#include "agent/result_file.h"
#include "runner/os/accounts.h"
#include "runner/os/file_tree.h"
#include "runner/os/os_error.h"
#include "runner/os/process_table.h"
#include "runner/os/program.h"

namespace sloth {
namespace {

constexpr std::size_t kMostRequestBytes = std::size_t{64} << 20;
constexpr int kOurFlags = O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

Result<Descriptor> open_at(const std::string& path, int flags) {
  Descriptor file(::open(path.c_str(), flags, 0600));
  if (!file.open()) return path_error((flags & O_CREAT) != 0 ? "make" : "open", path, errno);
  return file;
}

// What exists of an attempt that is about to start; takes it away again unless the start worked.
class Preparation {
 public:
  explicit Preparation(const AttemptPlan& plan) : plan_(plan) {}
  ~Preparation() {
    if (started_) return;
    for (const std::string& file : made_) ::unlink(file.c_str());
    if (made_workspace_) static_cast<void>(remove_path(plan_.workspace, true));
  }
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  Result<void> make() {
    if (auto made = make_file(plan_.files.spool(), O_RDWR | O_APPEND, spool); !made) return made;
    if (auto made = make_file(plan_.files.result(), O_WRONLY, result); !made) return made;
    if (auto reserved = reserve_result(result.get()); !reserved)
      return reserved.error().in(plan_.files.result());
    if (auto made = make_file(plan_.files.log(), O_WRONLY | O_APPEND, log); !made) return made;
    if (auto made = make_directory(plan_.content); !made) return made;
    if (auto opened = keep(open_at(plan_.content, O_RDONLY | O_DIRECTORY | O_CLOEXEC), content); !opened)
      return opened;
    if (auto opened = keep(open_at("/dev/null", O_RDONLY | O_CLOEXEC), nothing); !opened) return opened;
    if (auto made = make_workspace(); !made) return made;
    return write_plan();
  }

  void started() { started_ = true; }

  Descriptor told;  // the plan and the request
  Descriptor content, spool, result, log, nothing;

 private:
  static Result<void> keep(Result<Descriptor> opened, Descriptor& into) {
    if (!opened) return opened.error();
    into = std::move(*opened);
    return {};
  }

  Result<void> make_file(const std::string& path, int flags, Descriptor& into) {
    if (auto made = keep(open_at(path, flags | kOurFlags), into); !made) return made;
    made_.push_back(path);
    return {};
  }

  Result<void> make_workspace() {
    const std::string& path = plan_.workspace;
    if (::mkdir(path.c_str(), 0700) != 0) return path_error("make", path, errno);
    made_workspace_ = true;
    const AttemptAccount& account = plan_.account;
    if (account.uid != ::geteuid() && ::chown(path.c_str(), account.uid, account.gid) != 0) {
      return path_error("give away", path, errno);
    }
    return {};
  }

  // In memory: the file with the request belongs to the agent, and the process gets no way to it.
  Result<void> write_plan() {
    auto request = read_file(plan_.files.request(), kMostRequestBytes);
    if (!request) return request.error();
    const std::string bytes = encode_plan(plan_, *request);
    told.reset(::memfd_create("attempt", MFD_CLOEXEC));
    if (!told.open())
      return Error{code_of(errno), fmt::format("cannot hand over the plan: {}", reason_of(errno))};
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t count =
          ::pwrite(told.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0)
        return Error{code_of(errno), fmt::format("cannot hand over the plan: {}", reason_of(errno))};
      at += static_cast<std::size_t>(count);
    }
    return {};
  }

  const AttemptPlan& plan_;
  std::vector<std::string> made_;
  bool made_workspace_ = false;
  bool started_ = false;
};

// Listed one by one: nothing of the agent's own environment gets through.
std::vector<std::string> environment_of(const AttemptPlan& plan) {
  const bool has_home = !plan.account.home.empty() && exists(plan.account.home);
  std::string user = plan.account.name;
  if (user.empty()) {
    auto own = find_user(plan.account.uid);
    user = own ? own->name : std::to_string(plan.account.uid);
  }
  return {"SLOTH_ATTEMPT=" + plan.id, fmt::format("PATH={}:/usr/sbin:/sbin", kDefaultPath),
          "HOME=" + (has_home ? plan.account.home : plan.workspace), "USER=" + user, "LANG=C.UTF-8"};
}

Error start_error(const std::string& program, const Launched& failed) {
  const char* name = ::strerrorname_np(failed.error);
  const std::string text = name != nullptr ? name : std::to_string(failed.error);
  switch (failed.error) {
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE: return Error{Code::kLimit, fmt::format("cannot start process: {}", text)};
    default: break;
  }
  return Error{code_of(failed.error),
               fmt::format("cannot start {}: {} ({})", program, reason_of(failed.error), text)};
}

}  // namespace

std::string boot_id() {
  // read_file() asks for the size first, which is 0 here.
  const Descriptor file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char text[64];
  const ssize_t count = file.open() ? ::read(file.get(), text, sizeof(text)) : 0;
  std::string id(text, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

Result<StartedAttempt> start_attempt(const std::string& program, const AttemptPlan& plan,
                                     const std::function<Result<void>()>& prepared) {
  Preparation preparation(plan);
  if (auto made = preparation.make(); !made) return made.error();
  if (auto ready = prepared(); !ready) return ready.error();

  const std::vector<std::string> environment = environment_of(plan);
  std::vector<const char*> environment_pointers;
  for (const std::string& entry : environment) environment_pointers.push_back(entry.c_str());
  environment_pointers.push_back(nullptr);
  const char* arguments[] = {"sloth", "attempt", nullptr};
  const std::array<int, 4> handed = {preparation.told.get(), preparation.content.get(),
                                     preparation.spool.get(), preparation.result.get()};
  LaunchPlan launch;
  launch.program = program.c_str();
  launch.arguments = arguments;
  launch.environment = environment_pointers.data();
  launch.directory = "/";
  launch.stdio[0] = preparation.nothing.get();
  launch.stdio[1] = launch.stdio[2] = preparation.log.get();
  launch.handed = handed.data();
  launch.handed_count = handed.size();
  launch.new_session = true;
  const Launched launched = launch_attempt(launch);
  if (launched.error != 0) return start_error(program, launched);
  preparation.started();
  StartedAttempt started{{launched.pid, 0, boot_id()}, Descriptor(launched.pidfd)};
  // It may have ended already, but it is there until we reap it.
  if (const auto record = process_record(launched.pid)) started.name.start = record->start;
  return started;
}

}  // namespace sloth
