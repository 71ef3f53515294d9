// ChildProcess: one child from its start to the end of its whole process tree, driven by the reactor
// without a thread of its own.
//
// Thread-safe. It ends when the process has exited and its pipes are at their end. A survivor that holds a
// pipe (a daemon) is waited for `linger`, then the pipe is closed and the survivor left alone and named.
// After a timeout or end_tree() the whole tree gets SIGTERM, then SIGKILL when the grace is over, and `done`
// comes when no process of it is left. Dropping an executor that still runs children kills them.
//
//   auto child = ChildProcess::start(executor, {.spawn = {...}, .output = ..., .done = ...});
//   if (!child) return child.error();
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/output.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"
#include "runner/os/process.h"
#include "runner/os/process_tree.h"

namespace sloth {

class ChildProcess : public std::enable_shared_from_this<ChildProcess> {
 public:
  struct End {
    ExitStatus status;
    bool timed_out = false;
    bool cancelled = false;  // end_tree() was what ended it
    Duration took{};
    std::vector<ProcessInfo>
        survivors;  // processes of its tree that still run: daemons, or what may not be killed
  };

  struct Options {
    // `attempt` must be this child's alone ("<attempt>/<part>"): by it the tree is found.
    SpawnOptions spawn;
    std::string input;   // written to stdin, which is then closed; REQUIRES spawn.pipe_stdin when not empty
    Duration timeout{};  // zero: none
    Duration grace = std::chrono::seconds(10);  // between SIGTERM and SIGKILL after the timeout
    Duration linger = std::chrono::seconds(2);
    // On the reactor's thread: bytes as they were read, in order per stream; must be quick. False: no more
    // until resume(), so that the child waits once its pipes are full.
    UniqueFunction<bool(OutputStream, std::string_view)> output;
    // On the reactor's thread, once, after the last output.
    UniqueFunction<void(End)> done;
  };

  // Errors of spawn(), and kUnavailable when the executor has stopped; then nothing runs and no call comes.
  static Result<std::shared_ptr<ChildProcess>> start(Executor& executor, Options options);

  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Ends the tree. Idempotent: a later call may only shorten the grace.
  void end_tree(Duration grace);

  // Reads on after `output` said to stop.
  void resume();

  // Nobody wants its stdout any more: a child that writes on gets SIGPIPE.
  void close_stdout();

 private:
  struct Stream {
    OutputStream name;
    int fd;
    std::shared_ptr<Reactor::Watch> watch;
  };

  ChildProcess(Executor& executor, Options options, const Child& child);

  // All on the reactor's thread.
  void begin();
  void on_exit();
  void read_from(Stream& stream);
  void write_input();
  void watch_streams();
  void linger_over();
  void terminate(bool timed_out, Duration grace);
  void check_tree();
  void tree_checked(bool killed, std::vector<ProcessInfo> left);
  void close_streams(bool drain);
  void close(int& fd, std::shared_ptr<Reactor::Watch>& watch);
  void end_if_over();
  void finish();

  void on_reactor(void (ChildProcess::*step)(), Duration after = {});
  void on_blocking_lane(Job job);

  Executor& executor_;
  Reactor& reactor_;
  Options options_;
  Child child_;
  const TimePoint started_;
  Stream streams_[2];
  std::shared_ptr<Reactor::Watch> input_watch_;
  std::shared_ptr<Reactor::Watch> exit_watch_;
  std::size_t written_ = 0;
  TimerId timeout_ = 0;
  TimePoint kill_at_{};
  Duration check_again_ = std::chrono::milliseconds(4);
  End end_;
  bool exited_ = false;
  bool paused_ = false;
  bool naming_ = false;    // survivors are being looked up
  bool ending_ = false;    // the tree has been told to end
  bool checking_ = false;  // a look at the tree is under way
  bool over_ = false;
  bool reaped_ = false;
};

}  // namespace sloth
