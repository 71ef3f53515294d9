// TaskScope: what task code gets in a VM beside its own function: the table `this`, and shell commands.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>
#include <map>
#include <string>

#include "runner/engine/operator_side.h"
#include "runner/lua/vm.h"

namespace sloth {

class TaskScope {
 public:
  // REQUIRES: the modules are installed, `vm` is not sealed yet and outlives the scope.
  explicit TaskScope(Vm& vm);

  // Pushes `this` to `L`.
  void push_this(lua_State* L, const TaskIdentity& identity);

  // Pushes a function and its arguments; returns how many arguments. Called, it runs `command` in the shell
  // with its output streamed and answers true; or false, `command failed with exit code 3`. An empty
  // `workdir`: the host's.
  int push_shell(lua_State* L, const std::string& command, const std::string& workdir,
                 const std::map<std::string, std::string>& env);

 private:
  void push_part(const char* name);

  Vm& vm_;
  int parts_ = LUA_NOREF;  // the table that attempt.lua returns
};

}  // namespace sloth
