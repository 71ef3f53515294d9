#include "runner/engine/task_scope.h"

#include <string_view>

#include "runner/lua/stack.h"

namespace sloth {

namespace embedded {
extern const std::string_view runner_engine_attempt;
}

TaskScope::TaskScope(Vm& vm) : vm_(vm) {
  vm_.run_embedded(vm_.state(), "attempt", embedded::runner_engine_attempt, 0, 1);
  parts_ = luaL_ref(vm_.state(), LUA_REGISTRYINDEX);
}

void TaskScope::push_part(const char* name) {
  lua_rawgeti(vm_.state(), LUA_REGISTRYINDEX, parts_);
  lua_getfield(vm_.state(), -1, name);
  lua_remove(vm_.state(), -2);
}

void TaskScope::push_this(lua_State* L, const TaskIdentity& identity) {
  lua_State* main = vm_.state();
  push_part("this");
  push(main, identity.name);
  push(main, identity.agent);
  lua_pushinteger(main, identity.attempt);
  push(main, identity.run);
  push(main, identity.workdir);
  lua_pushboolean(main, identity.fresh_workdir ? 1 : 0);
  lua_call(main, 6, 1);
  lua_xmove(main, L, main == L ? 0 : 1);
}

int TaskScope::push_shell(lua_State* L, const std::string& command, const std::string& workdir,
                          const std::map<std::string, std::string>& env) {
  lua_State* main = vm_.state();
  push_part("shell");
  lua_xmove(main, L, main == L ? 0 : 1);
  push(L, command);
  if (workdir.empty()) {
    lua_pushnil(L);
  } else {
    push(L, workdir);
  }
  lua_createtable(L, 0, static_cast<int>(env.size()));
  for (const auto& [name, value] : env) {
    push(L, value);
    lua_setfield(L, -2, name.c_str());
  }
  return 3;
}

}  // namespace sloth
