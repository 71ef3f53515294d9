// Resumption: a run that goes on in another process than the one that began it.
//
// A value; resume_tasks() is pure, the others block on the disk. What is typed as `sloth runs resume RUN`
// becomes `sloth run --resume RUN` with the words that the run was begun with.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cmd/config.h"
#include "runner/base/result.h"
#include "runner/store/run_log.h"
#include "runner/task/plan.h"
#include "runner/task/workflow.h"

namespace sloth {

// How a run was begun.
struct RunCommand {
  std::string directory;
  std::vector<std::string> words;  // what followed "run"
};
// For RunRecord::command. "" when JSON cannot keep exactly these words.
std::string encode_command(const RunCommand& command);
// kInvalid when it was not kept.
Result<RunCommand> decode_command(const RunRecord& run);

struct Resumption {
  RunRecord run;
  std::vector<TaskRecord> tasks;

  // It ended, and well.
  [[nodiscard]] bool nothing_left() const { return run.ended_ms != 0 && run.exit_code == 0; }
  // kNotFound; kInvalid when the run still runs, with what to do instead.
  static Result<Resumption> of(const Config& config, const std::string& id);
};

// What the record says about the tasks of a plan.
struct ResumedTasks {
  std::map<std::string, Outcome> ended;      // have succeeded: not run again
  std::map<std::string, int> first_attempt;  // of the others that had some
  // Local attempts that died with their process, by the task's name. They run again with the next number;
  // those on agents go on with theirs.
  std::vector<std::pair<std::string, int>> broken_off;
  // Succeeded here, but others need outputs of them that are not known: run again.
  std::vector<std::string> forgotten;
};
// `local`: no task is on an agent.
ResumedTasks resume_tasks(const std::vector<TaskRecord>& records, const Workflow& workflow, const Plan& plan,
                          bool local);

}  // namespace sloth
