// start_thread: how every thread of this room begins, with its name and its signal mask.
//
// Thread-safe. All signals but those of a fault are blocked, so that the process's own (SIGINT,
// SIGCHLD) arrive where somebody waits for them. Workers take one more, kInterruptSignal: it breaks
// endless loops of scripts, and every wait in a worker must therefore bear EINTR.
#pragma once

#include <csignal>
#include <string>
#include <thread>

#include "runner/base/result.h"
#include "runner/base/unique_function.h"

namespace sloth {

inline constexpr int kInterruptSignal = SIGURG;

enum class Interruptible { kNo, kYes };

// kLimit when the system refuses another thread. `name` is cut to 15 characters.
Result<std::thread> start_thread(const std::string& name, Interruptible interruptible, Job body);

// The same for a thread without which nothing goes on: prints why and aborts when it is refused.
std::thread start_thread_or_abort(const std::string& name, Interruptible interruptible, Job body);

// Runs a job at the border where exceptions end: one that comes out is printed and aborts the process.
void run_job(Job& job);

}  // namespace sloth
