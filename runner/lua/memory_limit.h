// MemoryLimit: the VM's own allocator with a cap that holds only while user code runs.
//
// Strand-confined: call only on its strand. Outside user code the cap is lifted, because an allocation that
// fails outside a protected call would end the process.
#pragma once

#include <cstddef>
#include <lua.hpp>

namespace sloth {

class Vm;

class MemoryLimit {
 public:
  MemoryLimit(Vm* vm, std::size_t limit) : vm_(vm), limit_(limit) {}

  // Puts this allocator around the state's own one.
  void attach(lua_State* L);
  // Gives the state its own allocator back: before lua_close(), which releases the arena of that one only.
  void detach(lua_State* L) { lua_setallocf(L, inner_, inner_data_); }

  void enforce(bool on) { enforced_ = on; }
  [[nodiscard]] std::size_t used() const { return used_; }
  [[nodiscard]] std::size_t limit() const { return limit_; }
  // True once, after an allocation was refused.
  bool take_refused();

  // The VM behind a state, by its allocator.
  static Vm& vm_of(lua_State* L);

 private:
  static void* allocate(void* self, void* block, std::size_t old_size, std::size_t new_size);

  Vm* vm_;
  std::size_t limit_;
  std::size_t used_ = 0;
  bool enforced_ = false;
  bool refused_ = false;
  lua_Alloc inner_ = nullptr;
  void* inner_data_ = nullptr;
};

}  // namespace sloth
