// Vm: one LuaJIT state with its limits: memory, text-only loading, no way to native code.
//
// Strand-confined: call only on its strand; interrupt() and runs_code() alone are thread-safe. The strand may
// change threads between calls.
//
//   auto vm = Vm::open({.host = &host, .chunks = &chunks, .interrupter = &interrupter});
//   vm->install(module);
//   vm->seal();                       // from now on everything installed counts as built-in
//   if (auto loaded = vm->load(L, "@tasks.lua", text); !loaded) return loaded.error();
#pragma once

#include <atomic>
#include <cstddef>
#include <lua.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_function.h"
#include "runner/lua/chunk_cache.h"
#include "runner/lua/host.h"
#include "runner/lua/interrupter.h"
#include "runner/lua/memory_limit.h"
#include "runner/lua/module.h"

namespace sloth {

class Vm {
 public:
  struct Options {
    Host* host = nullptr;                // required; outlives the VM
    ChunkCache* chunks = nullptr;        // required; outlives the VM
    Interrupter* interrupter = nullptr;  // null: endless loops cannot be ended
    std::size_t memory_limit = std::size_t{1} << 30;
    bool jit = true;
  };

  // Never fails for a reason of the user's; CHECKs that the state could be made.
  static std::unique_ptr<Vm> open(const Options& options);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  // The VM that a state or coroutine belongs to.
  static Vm& of(lua_State* L);

  [[nodiscard]] lua_State* state() const { return state_; }
  [[nodiscard]] Host& host() const { return *options_.host; }
  [[nodiscard]] ChunkCache& chunks() const { return *options_.chunks; }
  [[nodiscard]] MemoryLimit& memory() { return memory_; }
  [[nodiscard]] bool jit() const { return jit_; }

  // Makes the module a global and the answer of require(name): when it is first named, since most scripts use
  // few of them, or at once if it is eager. REQUIRES: before seal().
  void install(const Module& module);
  // Has all of them there now: before a script gives the globals a metatable of its own.
  void load_all(lua_State* L);
  // Their names, there or not.
  [[nodiscard]] std::vector<std::string> deferred_names() const;
  // Pushes a table of natives, waiting ones wrapped.
  static void push_natives(lua_State* L, const std::vector<Native>& natives, void* context);
  // Runs one of our own embedded chunks with `nargs` arguments on top of the stack; leaves `nresults`.
  // Its functions do not appear in users' tracebacks. After seal() it sees the globals as they were then,
  // whatever the script made of them since.
  void run_embedded(lua_State* L, const char* name, std::string_view text, int nargs, int nresults);
  // Ends set-up: sets the global `values`. Names everything reachable from the globals as built-in (on first
  // need).
  void seal();

  // Compiles text (bytecode is refused: `bytecode is not accepted`) and pushes the function, or returns
  // Lua's message, "tasks.lua:3: '=' expected near 'x'". The text is kept for portable functions.
  Result<void> load(lua_State* L, const std::string& name, std::string_view text);

  // Pushes the registry table {object -> path} of built-ins as they were at seal().
  void push_builtin_names(lua_State* L);
  // Pushes the built-in of that path as it was at seal(), or nil.
  void push_builtin(lua_State* L, std::string_view path);
  // Keeps what push_builtin answers for `path` before somebody replaces it.
  void keep_builtin(lua_State* L, std::string_view path);

  // Texts that load() and the script's own load() compiled, newest last. Kept while the host may read
  // sources.
  [[nodiscard]] const std::vector<std::shared_ptr<const CompiledChunk>>& texts() const { return texts_; }

  // The message and traceback of an error value at the top of `L` (which it pops). `thread` is where it was
  // raised: the dead coroutine.
  struct Failure {
    std::string message;    // "tasks.lua:12: boom"
    std::string traceback;  // lines "tasks.lua:12: in function <tasks.lua:10>", our own frames left out
    std::string place;      // "tasks.lua:12" or ""
    std::optional<int> exit_code{};  // it was no error but os.exit(code)
  };
  Failure failure_from(lua_State* L, lua_State* thread);

  // Around every stretch of running Lua code on this VM's strand: publishes which thread runs it. The memory
  // limit is the caller's to enforce, around user code only.
  class Running {
   public:
    explicit Running(Vm& vm);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Vm& vm_;
  };

  // Asks for on_interrupt to be called soon on the thread that runs this VM's code, if any does, also inside
  // compiled loops. Thread-safe, cheap, may come to nothing when the VM stops running meanwhile.
  void interrupt() { interrupt_.request(); }
  // Some thread is inside Running now. Thread-safe.
  [[nodiscard]] bool runs_code() { return interrupt_.running(); }

  // Called between two instructions of running Lua code after interrupt(). Returns true to be called again
  // before the next instruction, false to let the code run on. May raise (lua_error).
  using InterruptHook = bool (*)(void* context, lua_State* L);
  void on_interrupt(InterruptHook callback, void* context);
  // Has the hook called before each following instruction, as after interrupt(); or no more. Strand only.
  void arm_interrupt() { interrupt_.arm(); }
  void disarm_interrupt() { interrupt_.disarm(); }

  // Pushes the closure of one prototype, its captured variables empty and unshared.
  void push_prototype(lua_State* L, const CompiledChunk& chunk, std::uint32_t prototype);

  // One pointer for the room above (the scheduler).
  void attach(void* what) { attachment_ = what; }
  [[nodiscard]] void* attachment() const { return attachment_; }

 private:
  explicit Vm(const Options& options);
  static void hook(lua_State* L, lua_Debug* frame);
  void open_libraries();
  void set_values();
  void push_module(lua_State* L, const Module& module);
  void defer_modules();
  static int load_deferred(lua_State* L);

  Options options_;
  bool jit_;
  MemoryLimit memory_;
  lua_State* state_ = nullptr;
  InterruptTarget interrupt_;
  InterruptHook hook_ = nullptr;
  void* hook_context_ = nullptr;
  void* attachment_ = nullptr;
  std::vector<std::shared_ptr<const CompiledChunk>> texts_;
  std::size_t texts_size_ = 0;
  std::map<std::string, Module, std::less<>> deferred_;
  int pristine_ref_ = LUA_NOREF;  // the globals as they were at seal()
};

}  // namespace sloth
