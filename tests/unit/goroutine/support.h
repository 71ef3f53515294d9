// A VM with the goroutine module and nothing else.
#pragma once

#include "modules/goroutine.h"
#include "tests/support/lua_fixture.h"

namespace sloth::testing {

inline std::vector<Module> only_goroutine(Executor&) { return {goroutine_module()}; }

class Goroutines : public LuaFixture {
 public:
  explicit Goroutines(Options options = {}) : LuaFixture(options, only_goroutine) {}
  // Results, or "error: ...".
  std::string text(const std::string& code) { return run(code).text(); }
};

}  // namespace sloth::testing
