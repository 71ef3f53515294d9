#include "runner/lua/memory_limit.h"

#include <utility>

#include "runner/base/check.h"

namespace sloth {

void MemoryLimit::attach(lua_State* L) {
  inner_ = lua_getallocf(L, &inner_data_);
  used_ = static_cast<std::size_t>(lua_gc(L, LUA_GCCOUNT, 0)) * 1024 +
          static_cast<std::size_t>(lua_gc(L, LUA_GCCOUNTB, 0));
  lua_setallocf(L, allocate, this);
}

bool MemoryLimit::take_refused() { return std::exchange(refused_, false); }

Vm& MemoryLimit::vm_of(lua_State* L) {
  void* self = nullptr;
  SLOTH_CHECK(lua_getallocf(L, &self) == allocate);
  return *static_cast<MemoryLimit*>(self)->vm_;
}

void* MemoryLimit::allocate(void* data, void* block, std::size_t old_size, std::size_t new_size) {
  auto* self = static_cast<MemoryLimit*>(data);
  if (new_size > old_size && self->enforced_ && self->used_ - old_size + new_size > self->limit_) {
    self->refused_ = true;
    return nullptr;
  }
  void* result = self->inner_(self->inner_data_, block, old_size, new_size);
  if (result != nullptr || new_size == 0) self->used_ += new_size - old_size;
  return result;
}

}  // namespace sloth
