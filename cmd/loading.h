// Loading: from what the command line says about a file to a checked workflow. What run, list and check
// share.
//
// Not shared: one thread at a time. Blocks until the file has run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cmd/app.h"
#include "runner/base/result.h"
#include "runner/task/event.h"
#include "runner/task/workflow.h"

namespace sloth {

// How a command names its file, its tasks and the values the file sees.
struct FileChoice {
  std::string file;                // -f; "" when not given
  std::vector<std::string> words;  // FILE and TASKs, in the order written
  std::vector<std::string> value_files;
  std::vector<std::string> settings;
};

struct LoadedFile {
  std::shared_ptr<const Workflow> workflow;
  PlanVm* plan_vm = nullptr;         // the app's
  std::vector<std::string> targets;  // the words that are tasks
  Value values;
};

// kInvalid, kNotFound and the like: exit 2, nothing ran. kCancelled: interrupted. What the file prints goes
// to `sink`, which outlives the plan VM, as output and log events without a task.
Result<LoadedFile> load_file(App& app, const FileChoice& choice, EventSink& sink);

// The error, each line as it is, on stderr; gives the exit code that fits.
int report_error(const Error& error);

}  // namespace sloth
