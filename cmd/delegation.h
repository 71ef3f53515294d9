// Delegation: what a run has when some of its tasks go to agents: the way to the master, the agents' names
// checked before anything runs, and for each task the runner it goes to.
//
// Not shared: one thread at a time, except live(), which is thread-safe.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "agent/local_master.h"
#include "agent/remote_task_runner.h"
#include "agent/run_client.h"
#include "cmd/app.h"
#include "runner/base/result.h"
#include "runner/task/plan.h"
#include "runner/task/workflow.h"

namespace sloth {

// Where the local master keeps its state, and where agents keep theirs.
std::string master_directory(const Config& config);
std::string agents_directory(const Config& config);

// The local master as this program joins or hosts it.
LocalMaster::Options local_master_options(const Config& config);

class Delegation final : public Placement {
 public:
  // `app` outlives it. `queue`: how long a task waits for its agent.
  Delegation(App& app, Duration queue);
  ~Delegation() override;

  // Does the plan name agents that the master does not know? kInvalid with every place and the nearest name.
  // kUnavailable when no master answers.
  Result<void> check(const Workflow& workflow, const Plan& plan);

  // The run goes on: what an earlier process of it left with the master is taken over. Before anything runs.
  Result<void> resume(const std::string& run);

  // Tasks without delegate_to. Outlives this.
  void set_local(TaskRunner& local) { local_ = &local; }
  TaskRunner& runner_for(const TaskSpec& spec) override;

  // The names of the tasks that are on agents now.
  std::vector<std::string> live();

 private:
  TaskRunner* local_ = nullptr;
  LocalMaster master_;
  RunClient client_;
  RemoteTaskRunner remote_;
};

// One question to the master, answered within `wait`.
Result<Message> ask_master(RunClient& client, Message question, Duration wait);

}  // namespace sloth
