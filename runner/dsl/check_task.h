// check_task: one declared task as a TaskSpec, with everything that is wrong with it.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>
#include <set>
#include <string>

#include "runner/dsl/declarations.h"
#include "runner/dsl/plan_functions.h"
#include "runner/dsl/problems.h"
#include "runner/dsl/recording.h"
#include "runner/dsl/shared_variables.h"
#include "runner/lua/portable_codec.h"
#include "runner/task/task.h"

namespace sloth {

// What checking needs; all outlive the check.
struct CheckContext {
  lua_State* L;
  const Recording& recording;
  const Declarations& declarations;
  Problems& problems;
  PlanFunctions& plan_functions;
  PortableMaker& portable;
  SharedVariables& shared;
};

// The number of the plan VM among those that SharedVariables tells apart: tasks have theirs from 1.
inline constexpr int kPlanVm = 0;

struct CheckedTask {
  TaskSpec spec;  // its portable functions have no store yet: PortableMaker::finish() makes it
  std::set<std::string, std::less<>> said;  // the words that it was told itself
  bool has_retry_strategy = false;          // of its own, not only a number of attempts
};

CheckedTask check_task(const CheckContext& context, const Record& record);

}  // namespace sloth
