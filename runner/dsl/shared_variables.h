// SharedVariables: finds variables that one task's function assigns and another's reads. Every attempt runs
// in a VM of its own and the handlers in the plan VM, so the assignment never arrives: a warning says so.
//
// Strand-confined: call only on its strand. Looks at the functions themselves and what is written inside
// them, not at functions that they call: a helper that counts or remembers for itself is no concern.
#pragma once

#include <lua.hpp>
#include <map>
#include <string>
#include <vector>

#include "runner/dsl/captured_use.h"
#include "runner/lua/vm.h"

namespace sloth {

class SharedVariables {
 public:
  // REQUIRES: the VM that ran the file; it outlives the object.
  explicit SharedVariables(Vm& vm);

  // The function at `index`, which runs in the VM number `vm` (a task's number; 0: the plan VM); `who` in
  // messages: `task "a"`.
  void add(lua_State* L, int index, int vm, const std::string& who);

  // One per variable, in the order of the first use.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct Use {
    int vm;
    std::string who;
    std::string place;
  };
  struct Variable {
    std::string name;
    std::vector<Use> reads;  // of two VMs at most: enough to find a pair
    std::vector<Use> assignments;
  };

  struct Located {
    const CompiledChunk* chunk = nullptr;
    std::uint32_t prototype = 0;
  };

  Located locate(const char* source, const std::string& dump) const;
  Variable& variable(const std::string& key, const std::string& name);
  static void note(std::vector<Use>& uses, Use use);

  Vm& vm_;
  CapturedUses captured_;
  std::map<std::string, std::size_t> index_;  // key -> place in variables_
  std::vector<Variable> variables_;
};

}  // namespace sloth
