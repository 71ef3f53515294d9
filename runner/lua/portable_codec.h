// Portable functions: making them from live closures, and reviving them in another VM.
//
// Strand-confined: call only on its strand. What is not data and not Lua source is refused with the whole
// path: `task "deploy": cannot send capture "pool.conn" (userdata) used at tasks.lua:12`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/portable_function.h"
#include "runner/base/result.h"
#include "runner/lua/vm.h"

namespace sloth {

// Collects functions of one VM into one store. Captures are taken as they are at the call of add().
class PortableMaker {
 public:
  explicit PortableMaker(Vm& vm);
  ~PortableMaker();

  // The function at `index`; `what` starts error messages: `task "deploy"`. Returns its object number.
  Result<std::uint32_t> add(lua_State* L, int index, const std::string& what);

  // No add() after this.
  std::shared_ptr<const PortableStore> finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Revives functions of one store in one VM: tables and variables that two of them share stay shared.
class PortableReviver {
 public:
  // Adds library fields and modules of the store to the VM. `vm` outlives the reviver.
  PortableReviver(Vm& vm, std::shared_ptr<const PortableStore> store);
  ~PortableReviver();

  // Pushes the function of that object number.
  Result<void> push(lua_State* L, std::uint32_t object);

  // Captured tables whose content is no longer what was revived, by path: "config.hosts".
  std::vector<std::string> changed_tables(lua_State* L);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sloth
