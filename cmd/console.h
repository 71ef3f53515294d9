// Console: the run as plain text: a line where a task starts and ends, its output in between with the task's
// name in front, and at the end every failure once more.
//
//   ▶ build
//   [build] gcc -c main.c
//   ✓ build  1.2s
//
// Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/output_file.h"
#include "runner/base/mutex.h"
#include "runner/engine/run_report.h"
#include "runner/task/event.h"

namespace sloth {

struct ConsoleOptions {
  enum class Mode {
    kPrefixed,  // everything on stdout, output line by line with its task's name
    kStream,    // output byte for byte on the stream it was written to; the console's own lines on stderr
  } mode = Mode::kPrefixed;
  bool color = false;
  // Control characters in output are made visible, colours let through.
  bool to_terminal = false;
  bool quiet = false;    // only failures
  bool verbose = false;  // also log.debug
};

class Console final : public EventSink {
 public:
  // Both outlive the console.
  Console(ConsoleOptions options, OutputFile& out, OutputFile& err);

  void on_event(const Event& event) override EXCLUDES(mutex_);

  // Where a failure is to be looked at: "tasks.lua:12" and "  12 | text"; either may be "".
  struct Location {
    std::string place;
    std::string excerpt;
  };
  using Locate = std::function<Location(const std::string& task, const Outcome& outcome)>;
  // The failures, what was skipped and why, the counts.
  void summarize(const RunReport& report, const Locate& locate) EXCLUDES(mutex_);

  // Tasks that have started and not ended.
  std::vector<std::string> running() EXCLUDES(mutex_);

 private:
  // Whose output it is: a task, or its part on one of several agents.
  struct Speaker {
    std::string task;
    std::string agent;
    auto operator<=>(const Speaker&) const = default;
  };
  struct View {
    std::string partial[2];        // of each stream, the line that has not ended yet
    std::deque<std::string> tail;  // the last lines
  };

  void show(const Event& event) REQUIRES(mutex_);
  void show_output(const Speaker& who, const TaskOutput& output) REQUIRES(mutex_);
  void show_log(const Speaker& who, const TaskLog& log) REQUIRES(mutex_);
  void show_end(const std::string& task, const Outcome& outcome) REQUIRES(mutex_);
  void show_failure(const std::string& task, const Outcome& outcome, const Location& location)
      REQUIRES(mutex_);
  void keep(View& view, std::string_view line) REQUIRES(mutex_);
  void line_of(const Speaker& who, View& view, std::string_view text) REQUIRES(mutex_);
  void end_lines(const Speaker& who) REQUIRES(mutex_);
  // "[task] ", "[task@agent] "; nothing for what belongs to no task.
  [[nodiscard]] std::string prefix(const Speaker& who) const;
  // The console's own line; a line end is added.
  void say(const std::string& line) REQUIRES(mutex_);
  [[nodiscard]] std::string painted(const char* code, const std::string& text) const;

  const ConsoleOptions options_;
  OutputFile& out_;
  OutputFile& err_;
  Mutex mutex_;
  std::map<Speaker, View> views_ GUARDED_BY(mutex_);                         // of tasks that run
  std::map<std::string, std::deque<std::string>> tails_ GUARDED_BY(mutex_);  // of those that failed
  bool local_forced_ GUARDED_BY(mutex_) = false;
};

}  // namespace sloth
