#include "runner/os/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "runner/os/descriptor.h"
#include "runner/os/launch.h"
#include "runner/os/os_error.h"
#include "runner/os/program.h"

namespace sloth {
namespace {

constexpr std::string_view kAttemptName = "SLOTH_ATTEMPT";

// The soft limit of descriptors before raise_descriptor_limit(); 0: not raised. The limit belongs to
// the process, and so does this.
std::atomic<rlim_t> first_descriptor_limit{0};

Result<void> check_options(const SpawnOptions& options) {
  if (options.argv.empty() || options.argv[0].empty()) return Error{Code::kInvalid, "no command given"};
  for (std::size_t i = 0; i < options.argv.size(); ++i) {
    if (options.argv[i].find('\0') != std::string::npos) {
      return Error{Code::kInvalid,
                   fmt::format("argument {} of \"{}\" holds a NUL byte, which no program can receive", i,
                               options.argv[0].c_str())};
    }
  }
  if (!options.directory.empty()) {
    if (options.directory[0] != '/') {
      return Error{Code::kInvalid,
                   fmt::format("the working directory \"{}\" is not absolute", options.directory)};
    }
    if (auto valid = check_path("enter", options.directory); !valid) return valid;
  }
  for (const auto& [name, value] : options.environment) {
    if (name.empty()) return Error{Code::kInvalid, "an environment variable has an empty name"};
    if (name.find('=') != std::string::npos || name.find('\0') != std::string::npos) {
      return Error{Code::kInvalid,
                   fmt::format("\"{}\" cannot be the name of an environment variable: it holds {}",
                               name.c_str(), name.find('=') != std::string::npos ? "\"=\"" : "a NUL byte")};
    }
    if (value.find('\0') != std::string::npos) {
      return Error{Code::kInvalid, fmt::format("the environment variable {} holds a NUL byte", name)};
    }
  }
  if (options.attempt.find('\0') != std::string::npos) {
    return Error{Code::kInvalid, "the attempt's id holds a NUL byte"};
  }
  return {};
}

// The environment in the form execve takes: one block of text and pointers into it.
class EnvironmentBlock {
 public:
  explicit EnvironmentBlock(const SpawnOptions& options) {
    std::vector<std::size_t> offsets;
    offsets.reserve(options.environment.size() + 1);
    const auto add = [&](std::string_view name, std::string_view value) {
      offsets.push_back(text_.size());
      text_.append(name).append(1, '=').append(value).append(1, '\0');
    };
    // First, so that a search of /proc finds it on the first page.
    if (!options.attempt.empty()) add(kAttemptName, options.attempt);
    for (const auto& [name, value] : options.environment) {
      if (options.attempt.empty() || name != kAttemptName) add(name, value);
    }
    pointers_.reserve(offsets.size() + 1);
    for (const std::size_t offset : offsets) pointers_.push_back(text_.data() + offset);
    pointers_.push_back(nullptr);
  }
  EnvironmentBlock(const EnvironmentBlock&) = delete;
  EnvironmentBlock& operator=(const EnvironmentBlock&) = delete;

  [[nodiscard]] const char* const* data() const { return pointers_.data(); }

 private:
  std::string text_;
  std::vector<const char*> pointers_;
};

std::vector<const char*> pointers_to(const std::vector<std::string>& argv) {
  std::vector<const char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (const std::string& argument : argv) pointers.push_back(argument.c_str());
  pointers.push_back(nullptr);
  return pointers;
}

std::string_view search_path(const SpawnOptions& options) {
  std::string_view path = kDefaultPath;
  for (const auto& [name, value] : options.environment) {
    if (name == "PATH") path = value;
  }
  return path;
}

Error descriptor_error(const char* what, int error) {
  if (error == EMFILE) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return Error{Code::kLimit,
                 fmt::format("cannot open {}: all {} descriptors of this process are in use (ulimit -n)",
                             what, limit.rlim_cur)};
  }
  return Error{code_of(error), fmt::format("cannot open {}: {}", what, reason_of(error))};
}

// Moves a descriptor out of 0..2, which it gets when this process was started with one of them closed:
// there the child's own streams are put.
bool lift(Descriptor& descriptor) {
  if (descriptor.get() > 2) return true;
  descriptor.reset(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 3));
  return descriptor.open();
}

struct Streams {
  Descriptor ours[3];
  Descriptor theirs[3];

  Result<void> open_pipe(int stream) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return descriptor_error("a pipe", errno);
    Descriptor read_end(ends[0]);
    Descriptor write_end(ends[1]);
    if (!lift(read_end) || !lift(write_end)) return descriptor_error("a pipe", errno);
    ours[stream] = std::move(stream == STDIN_FILENO ? write_end : read_end);
    theirs[stream] = std::move(stream == STDIN_FILENO ? read_end : write_end);
    if (::fcntl(ours[stream].get(), F_SETFL, O_NONBLOCK) != 0) return descriptor_error("a pipe", errno);
    return {};
  }

  Result<void> open(const SpawnOptions& options) {
    if (options.inherit_stdio) return {};
    if (options.pipe_stdin) {
      if (auto opened = open_pipe(STDIN_FILENO); !opened) return opened;
    } else {
      theirs[STDIN_FILENO].reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!theirs[STDIN_FILENO].open() || !lift(theirs[STDIN_FILENO]))
        return descriptor_error("/dev/null", errno);
    }
    if (auto opened = open_pipe(STDOUT_FILENO); !opened) return opened;
    return options.merge_stderr ? Result<void>() : open_pipe(STDERR_FILENO);
  }
};

Error too_large(const SpawnOptions& options) {
  std::size_t arguments = 0;
  std::size_t environment = 0;
  std::size_t longest = 0;
  for (const std::string& argument : options.argv) {
    arguments += argument.size() + 1;
    longest = std::max(longest, argument.size() + 1);
  }
  for (const auto& [name, value] : options.environment) {
    environment += name.size() + value.size() + 2;
    longest = std::max(longest, name.size() + value.size() + 2);
  }
  return Error{
      Code::kLimit,
      fmt::format("cannot run \"{:.200}\": {} bytes of arguments and {} bytes of environment (the longest "
                  "one {}) are more than this system takes; pass the data in a file or on standard input",
                  options.argv[0], arguments, environment, longest)};
}

Error explain(const SpawnOptions& options, const std::string& program, const Launched& failed) {
  const std::string& command = options.argv[0];
  switch (failed.step) {
    case LaunchStep::kProcess:
      if (failed.error == EAGAIN || failed.error == ENOMEM) {
        return Error{
            Code::kLimit,
            fmt::format("cannot run \"{}\": no more processes or memory for one (ulimit -u, pids.max)",
                        command)};
      }
      if (failed.error == EMFILE) return descriptor_error("a process descriptor", failed.error);
      break;
    case LaunchStep::kDirectory:
      return Error{Code::kIo, fmt::format("cannot run \"{}\": working directory \"{}\": {}", command,
                                          options.directory, reason_of(failed.error))};
    case LaunchStep::kProgram:
      return failed.error == E2BIG ? too_large(options) : explain_exec_failure(program, failed.error);
    default: break;
  }
  return Error{Code::kIo, fmt::format("cannot run \"{}\": {}", command, reason_of(failed.error))};
}

// A missing working directory is the better message than what it makes of a relative command.
Error explain_lookup(const SpawnOptions& options, const Error& error) {
  if (error.code == Code::kNotFound && !options.directory.empty() &&
      ::access(options.directory.c_str(), F_OK) != 0) {
    return explain(options, {}, Launched{-1, -1, errno, LaunchStep::kDirectory});
  }
  return error;
}

}  // namespace

Result<Child> spawn(const SpawnOptions& options) {
  if (auto valid = check_options(options); !valid) return valid.error();
  auto program = find_program(options.argv[0], search_path(options), options.directory);
  if (!program) return explain_lookup(options, program.error());
  Streams streams;
  if (auto opened = streams.open(options); !opened) {
    return opened.error().in(fmt::format("cannot run \"{}\"", options.argv[0]));
  }

  const EnvironmentBlock environment(options);
  std::vector<const char*> arguments = pointers_to(options.argv);
  LaunchPlan plan;
  // The child is in its directory by then, so a relative command stays as written: a script sees it in $0.
  const bool has_slash = options.argv[0].find('/') != std::string::npos;
  plan.program = has_slash ? options.argv[0].c_str() : program->c_str();
  plan.arguments = arguments.data();
  plan.environment = environment.data();
  plan.directory = options.directory.empty() ? nullptr : options.directory.c_str();
  for (int stream = 0; stream < 3; ++stream) plan.stdio[stream] = streams.theirs[stream].get();
  if (options.merge_stderr) plan.stdio[STDERR_FILENO] = plan.stdio[STDOUT_FILENO];
  plan.take_terminal = options.inherit_stdio && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
  rlimit limit{};
  if (const rlim_t first = first_descriptor_limit.load(); first != 0) {
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min(first, limit.rlim_max);
    plan.descriptor_limit = &limit;
  }

  Launched launched = launch(plan);
  if (launched.error == ENOEXEC && launched.step == LaunchStep::kProgram && is_plain_script(*program)) {
    // A script without #!: every shell runs it, so a command does not depend on whether a shell stands
    // between.
    arguments[0] = plan.program;
    arguments.insert(arguments.begin(), "sh");
    plan.arguments = arguments.data();
    plan.program = "/bin/sh";
    launched = launch(plan);
  }
  if (launched.error != 0) return explain(options, *program, launched);
  return Child{launched.pid, launched.pidfd, streams.ours[0].release(), streams.ours[1].release(),
               streams.ours[2].release()};
}

ExitStatus reap(const Child& child) {
  siginfo_t info{};
  int result = 0;
  do {
    result = ::waitid(P_PIDFD, static_cast<id_t>(child.pidfd), &info, WEXITED);
  } while (result != 0 && errno == EINTR);

  // An interactive child got the terminal; its group is gone, so it is ours again.
  if (::tcgetpgrp(STDIN_FILENO) == child.pid) {
    sigset_t output_stop;
    sigset_t before;
    sigemptyset(&output_stop);
    sigaddset(&output_stop, SIGTTOU);
    ::pthread_sigmask(SIG_BLOCK, &output_stop, &before);
    ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  if (result != 0) return ExitStatus{255, 0};
  if (info.si_code == CLD_EXITED) return ExitStatus{info.si_status, 0};
  return ExitStatus{128 + info.si_status, info.si_status};
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  rlim_t unset = 0;
  first_descriptor_limit.compare_exchange_strong(unset, before);
}

std::vector<std::pair<std::string, std::string>> current_environment() {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    pairs.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return pairs;
}

}  // namespace sloth
