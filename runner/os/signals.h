// SignalWatch: SIGINT, SIGTERM and SIGHUP as calls on an ordinary thread.
//
// Make one at the start of main, before any other thread: it blocks the signals for all of them.
// Its handler runs on its own thread, once for each signal received; SIGPIPE is ignored for the whole
// process. A signal that was ignored at the start (nohup, a background job) stays ignored.
// Destroy it on the thread that made it: that gives the thread its signal mask back.
#pragma once

#include <memory>

#include "runner/base/unique_function.h"

namespace sloth {

class SignalWatch {
 public:
  // `handler(signal, count)`: count is 1 for the first signal, 2 for the second ...
  explicit SignalWatch(UniqueFunction<void(int, int)> handler);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sloth
