// Dsl: the task language in the plan VM: `task`, `workflow`, TaskDefinitions; from a file's text to a
// Workflow.
//
// Strand-confined: call only on its strand. Builders are Lua (dsl.lua) and only record; everything is checked
// here, after the file ran, so that all problems are reported at once.
//
//   Dsl dsl(vm);                                   // before vm.seal()
//   int nargs = dsl.push_loader(L, "tasks.lua", text);   // run it as a goroutine ...
//   auto workflow = dsl.finish(L);                 // ... then take the result
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/lua/portable_codec.h"
#include "runner/lua/vm.h"
#include "runner/task/workflow.h"

namespace sloth {

class Dsl {
 public:
  // Installs the globals. REQUIRES: `vm` is not sealed yet; outlives the Dsl.
  explicit Dsl(Vm& vm);
  ~Dsl();
  Dsl(const Dsl&) = delete;
  Dsl& operator=(const Dsl&) = delete;

  // Pushes the compiled file (no arguments follow: the function is ready to be called with none). A syntax
  // error, bytecode and the like: kInvalid with "tasks.lua:3: ..." and the source line under it.
  Result<void> push_loader(lua_State* L, const std::string& file, std::string_view text);

  // After the file ran without error: every task and workflow that it declared, checked, with attempt
  // functions made portable. All problems are in one Error (kInvalid), one block per problem: `tasks.lua:12:
  // ...`, the source line, the cure. Dependencies and cycles are Plan::build's to check, not this function's.
  // `file` and `directory` fill the Workflow.
  Result<Workflow> finish(lua_State* L, const std::string& file, const std::string& directory);

  // Pushes a function kept in the plan VM. REQUIRES: `function` came from finish().
  void push_plan_function(lua_State* L, PlanFunction function);

  // The source lines of files loaded so far, for excerpts: "  12 | task(\"x\")" or "" when unknown.
  [[nodiscard]] std::string excerpt(const Place& place) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sloth
