#include "runner/exec/thread.h"

#include <fmt/format.h>
#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>

namespace sloth {
namespace {

sigset_t mask_for(Interruptible interruptible) {
  sigset_t mask;
  sigfillset(&mask);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) sigdelset(&mask, fault);
  if (interruptible == Interruptible::kYes) sigdelset(&mask, kInterruptSignal);
  return mask;
}

[[noreturn]] void escaped(const char* what) {
  std::fprintf(stderr, "sloth: internal error: an exception left a job: %s\n", what);
  std::abort();
}

}  // namespace

Result<std::thread> start_thread(const std::string& name, Interruptible interruptible, Job body) {
  // A thread inherits its mask, so there is no moment at which it runs with the wrong one.
  const sigset_t mask = mask_for(interruptible);
  sigset_t before;
  SLOTH_CHECK(pthread_sigmask(SIG_SETMASK, &mask, &before) == 0);
  Result<std::thread> started = Error{Code::kLimit, ""};
  try {
    started = std::thread([body = std::move(body), name = name.substr(0, 15)]() mutable {
      pthread_setname_np(pthread_self(), name.c_str());
      body();
    });
  } catch (const std::system_error& error) {
    started = Error{Code::kLimit, fmt::format("start thread {}: {}", name, error.what())};
  }
  SLOTH_CHECK(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
  return started;
}

std::thread start_thread_or_abort(const std::string& name, Interruptible interruptible, Job body) {
  auto thread = start_thread(name, interruptible, std::move(body));
  if (thread) return std::move(*thread);
  std::fprintf(stderr, "sloth: %s: the program cannot go on; raise the limit of threads (ulimit -u)\n",
               thread.error().message.c_str());
  std::abort();
}

void run_job(Job& job) {
  try {
    job();
  } catch (const std::exception& error) {
    escaped(error.what());
  } catch (...) {
    escaped("of unknown type");
  }
}

}  // namespace sloth
