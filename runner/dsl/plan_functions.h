// PlanFunctions: the functions of a task file that stay in the plan VM (conditions, handlers), by number.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>

#include "runner/task/task.h"

namespace sloth {

class PlanFunctions {
 public:
  // REQUIRES: the state outlives the object's use.
  explicit PlanFunctions(lua_State* L);

  // Keeps the function at `index` for the life of the VM.
  PlanFunction keep(lua_State* L, int index);

  // REQUIRES: keep() returned it.
  void push(lua_State* L, PlanFunction function) const;

 private:
  int table_;  // registry reference of the list
  std::uint32_t count_ = 0;
};

}  // namespace sloth
