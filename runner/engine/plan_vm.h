// PlanVm: the VM in which the task file runs, once, where the operator is; afterwards the home of its
// operator-side functions (run_if ... on_complete).
//
// Thread-safe: everything happens on its own strand, whose VM it opens at once and in the background.
//
//   PlanVm plan({.executor = &executor, ...});
//   plan.load({.file = "tasks.lua", .directory = dir, .text = text}, stop, [](Result<Workflow> workflow) {
//   ... });
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "runner/base/clock.h"
#include "runner/engine/operator_side.h"
#include "runner/exec/executor.h"
#include "runner/lua/chunk_cache.h"
#include "runner/lua/host.h"
#include "runner/lua/interrupter.h"
#include "runner/lua/module.h"
#include "runner/task/workflow.h"

namespace sloth {

// Lent: everything outlives the plan VM.
struct PlanVmOptions {
  Executor* executor = nullptr;
  const Clock* clock = nullptr;
  ChunkCache* chunks = nullptr;
  Interrupter* interrupter = nullptr;  // may be null
  const std::vector<Module>* modules = nullptr;
};

class PlanVm final : public OperatorSide {
 public:
  // `host`: workdir and file_directory are the file's directory; write and log get what the file prints, also
  // after loading.
  PlanVm(PlanVmOptions options, Host host);
  // Waits until the VM is closed. Blocks: not on the executor's threads. REQUIRES: no load or call under way;
  // not stuck().
  ~PlanVm() override;

  // One call of C code goes on though its time was over two seconds ago: every load and call was answered
  // with an error, and so are those to come. The VM and all it was lent must stay until the process ends.
  [[nodiscard]] bool stuck() const;

  struct File {
    std::string name;       // as the user gave it: in places and messages
    std::string directory;  // absolute
    std::string text;
  };
  // Runs the file to its end and gives what it declared. The error holds every problem, each with its place
  // and source line. kCancelled after a stop request. REQUIRES: called once.
  void load(File file, std::stop_token stop, UniqueFunction<void(Result<Workflow>)> done);

  void call(OperatorCall call, std::stop_token stop,
            UniqueFunction<void(Result<OperatorAnswer>)> done) override;

  // The task whose handler or condition runs now, or ran last; "" for the file itself and for workflows. Only
  // inside the host's `write` and `log`.
  [[nodiscard]] std::string speaking() const;

  // The source line of a place such as "tasks.lua:12", as "  12 | text"; "" when unknown. Blocks likewise.
  std::string excerpt(const std::string& place);

 private:
  struct Question;
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sloth
