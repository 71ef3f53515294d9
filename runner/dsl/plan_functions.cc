#include "runner/dsl/plan_functions.h"

#include "runner/base/check.h"

namespace sloth {

PlanFunctions::PlanFunctions(lua_State* L) {
  lua_newtable(L);
  table_ = luaL_ref(L, LUA_REGISTRYINDEX);
}

PlanFunction PlanFunctions::keep(lua_State* L, int index) {
  lua_pushvalue(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, table_);
  lua_insert(L, -2);
  lua_rawseti(L, -2, static_cast<int>(++count_));
  lua_pop(L, 1);
  return PlanFunction{count_};
}

void PlanFunctions::push(lua_State* L, PlanFunction function) const {
  SLOTH_CHECK(function.id >= 1 && function.id <= count_);
  lua_rawgeti(L, LUA_REGISTRYINDEX, table_);
  lua_rawgeti(L, -1, static_cast<int>(function.id));
  lua_remove(L, -2);
}

}  // namespace sloth
