#include "runner/lua/vm.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "runner/base/check.h"
#include "runner/base/log.h"
#include "runner/lua/prelude.h"
#include "runner/lua/stack.h"
#include "runner/lua/value_codec.h"

extern "C" {
#include <luajit.h>
}

namespace sloth {

namespace embedded {
extern const std::string_view runner_lua_prelude;
}

namespace {

const char kWaiting[] = "sloth.waiting";    // wraps a native that waits
const char kBuiltins[] = "sloth.builtins";  // path -> object
const char kNames[] = "sloth.names";        // object -> path
constexpr std::size_t kLongestMessage = 64u << 10;
constexpr int kDeepestName = 3;  // "a.b.c.d": tables inside built-in tables

int panic(lua_State* L) {
  const char* message = lua_tostring(L, -1);
  std::fprintf(stderr, "sloth: internal error: Lua error outside a protected call: %s\n",
               message != nullptr ? message : "(no message)");
  std::abort();
}

// Gives a table or function at the top its path, unless it has one; then its fields. Pops it.
void name_builtin(lua_State* L, int names, int builtins, const std::string& path, int depth) {
  const bool is_table = lua_istable(L, -1);
  if (!is_table && !lua_isfunction(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushvalue(L, -1);
  push(L, path);
  lua_rawset(L, builtins);
  lua_pushvalue(L, -1);
  lua_rawget(L, names);
  const bool known = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (known) {
    lua_pop(L, 1);
    return;
  }
  lua_pushvalue(L, -1);
  push(L, path);
  lua_rawset(L, names);
  if (is_table && depth > 0) {
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
      if (lua_type(L, -2) == LUA_TSTRING) {
        name_builtin(L, names, builtins, path + "." + lua_tostring(L, -2), depth - 1);
      } else {
        lua_pop(L, 1);
      }
    }
  }
  lua_pop(L, 1);
}

// An error value as text: its own, or what its __tostring says, or its type.
std::string error_text(lua_State* L, int index) {
  if (lua_type(L, index) == LUA_TSTRING || lua_type(L, index) == LUA_TNUMBER) {
    std::size_t size = 0;
    lua_pushvalue(L, index);
    const char* text = lua_tolstring(L, -1, &size);
    std::string result(text, std::min(size, kLongestMessage));
    if (size > kLongestMessage) result += fmt::format(" ... ({} bytes in all)", size);
    lua_pop(L, 1);
    return result;
  }
  if (luaL_getmetafield(L, index, "__tostring") != 0) {
    lua_pushvalue(L, index);
    std::string result;
    if (lua_pcall(L, 1, 1, 0) == 0 && lua_type(L, -1) == LUA_TSTRING) result = error_text(L, lua_gettop(L));
    lua_pop(L, 1);
    if (!result.empty()) return result;
  }
  if (lua_isnil(L, index)) return "error(nil): an error without a message";
  return fmt::format("error object is a {} value; raise a text, or a table with __tostring",
                     luaL_typename(L, index));
}

// os.exit (modules/standard.h) raises a table { sloth_exit = 3 }.
std::optional<int> exit_code_at_top(lua_State* L) {
  if (lua_type(L, -1) != LUA_TTABLE) return std::nullopt;
  lua_pushliteral(L, "sloth_exit");
  lua_rawget(L, -2);
  std::optional<int> code;
  if (lua_type(L, -1) == LUA_TNUMBER) code = static_cast<int>(lua_tointeger(L, -1));
  lua_pop(L, 1);
  return code;
}

// Frames as lines, at most 40; a line that follows itself (a function that calls itself) is counted instead.
class TracebackText {
 public:
  void add(std::string line) {
    if (line == last_) {
      ++repeats_;
      return;
    }
    tell_repeats();
    last_ = std::move(line);
    if (++lines_ <= kMostLines) {
      text_ += last_;
    } else {
      ++hidden_;
    }
  }

  std::string finish() {
    tell_repeats();
    if (hidden_ > 0) text_ += fmt::format("... {} more\n", hidden_);
    return std::move(text_);
  }

 private:
  static constexpr int kMostLines = 40;

  void tell_repeats() {
    const int repeats = std::exchange(repeats_, 0);
    if (repeats == 0) return;
    if (lines_ > kMostLines) {
      hidden_ += repeats;
    } else if (repeats == 1) {
      text_ += last_;
    } else {
      text_ += fmt::format("... (the same line {} times more)\n", repeats);
    }
  }

  std::string text_;
  std::string last_;
  int lines_ = 0;
  int repeats_ = 0;
  int hidden_ = 0;
};

}  // namespace

std::unique_ptr<Vm> Vm::open(const Options& options) {
  SLOTH_CHECK(options.host != nullptr && options.chunks != nullptr);
  return std::unique_ptr<Vm>(new Vm(options));
}

Vm::Vm(const Options& options) : options_(options), jit_(options.jit), memory_(this, options.memory_limit) {
  state_ = luaL_newstate();
  SLOTH_CHECK(state_ != nullptr);
  lua_atpanic(state_, panic);
  memory_.attach(state_);
  if (options.interrupter != nullptr) {
    interrupt_.bind(options.interrupter, state_, hook);
    jit_ = jit_ && options.interrupter->works_with_jit();
    if (jit_) options.interrupter->prepare(state_);
  }
  open_libraries();
  if (!jit_) luaJIT_setmode(state_, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
}

Vm::~Vm() {
  memory_.detach(state_);
  lua_close(state_);
}

Vm& Vm::of(lua_State* L) { return MemoryLimit::vm_of(L); }

void Vm::open_libraries() {
  luaL_openlibs(state_);
  push_prelude_natives(state_);
  lua_getglobal(state_, "package");
  lua_getfield(state_, -1, "preload");
  for (const char* const name : {"table.new", "table.clear"}) {
    lua_getfield(state_, -1, name);
    if (lua_isfunction(state_, -1)) {
      lua_call(state_, 0, 1);
      lua_setfield(state_, -4, name[6] == 'n' ? "table_new" : "table_clear");
    } else {
      lua_pop(state_, 1);
    }
  }
  lua_pop(state_, 2);
  run_embedded(state_, "prelude", embedded::runner_lua_prelude, 1, 2);
  keep_loaded(state_);
  lua_setfield(state_, LUA_REGISTRYINDEX, kWaiting);
}

void Vm::push_natives(lua_State* L, const std::vector<Native>& natives, void* context) {
  lua_createtable(L, 0, static_cast<int>(natives.size()));
  for (const Native& entry : natives) {
    if (entry.waits) lua_getfield(L, LUA_REGISTRYINDEX, kWaiting);
    lua_pushlightuserdata(L, context);
    lua_pushcclosure(L, entry.function, 1);
    if (entry.waits) lua_call(L, 1, 1);
    lua_setfield(L, -2, entry.name);
  }
}

void Vm::push_module(lua_State* L, const Module& module) {
  push_natives(L, module.natives, module.context);
  if (!module.lua.empty()) run_embedded(L, module.name.c_str(), module.lua, 1, 1);
  SLOTH_CHECK(!lua_isnil(L, -1));
  push_loaded(L);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, module.name.c_str());
  lua_pop(L, 1);
}

void Vm::install(const Module& module) {
  if (!module.eager) {
    deferred_.emplace(module.name, module);
    return;
  }
  push_module(state_, module);
  lua_setglobal(state_, module.name.c_str());
}

std::vector<std::string> Vm::deferred_names() const {
  std::vector<std::string> names;
  for (const auto& [name, module] : deferred_) names.push_back(name);
  return names;
}

void Vm::load_all(lua_State* L) {
  for (const auto& [name, module] : deferred_) {
    lua_getglobal(L, name.c_str());
    lua_pop(L, 1);
  }
}

// The __index of the globals, of package.loaded and of what our own chunks see: (table, name) -> module or
// nil.
int Vm::load_deferred(lua_State* L) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  Vm& vm = of(L);
  const auto found = vm.deferred_.find(std::string_view(lua_tostring(L, 2)));
  if (found == vm.deferred_.end()) return 0;
  push_loaded(L);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) {
    vm.push_module(L, found->second);
    lua_getfield(L, LUA_REGISTRYINDEX, kNames);
    if (lua_istable(L, -1)) {
      lua_getfield(L, LUA_REGISTRYINDEX, kBuiltins);
      lua_pushvalue(L, -3);
      name_builtin(L, lua_gettop(L) - 2, lua_gettop(L) - 1, found->first, kDeepestName);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  if (lua_rawequal(L, 1, LUA_GLOBALSINDEX) != 0) {  // next time they have it themselves
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
  }
  return 1;
}

void Vm::defer_modules() {
  if (deferred_.empty()) return;
  lua_State* L = state_;
  lua_newtable(L);  // the metatable
  lua_pushcfunction(L, native<load_deferred>);
  lua_setfield(L, -2, "__index");
  lua_newtable(L);  // copies of the globals and of the libraries in them
  for (lua_pushnil(L); lua_next(L, LUA_GLOBALSINDEX) != 0; lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    if (lua_istable(L, -2) && lua_rawequal(L, -2, LUA_GLOBALSINDEX) == 0) {
      lua_newtable(L);
      for (lua_pushnil(L); lua_next(L, -4) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
      }
    } else {
      lua_pushvalue(L, -2);
    }
    lua_rawset(L, -5);
  }
  lua_pushvalue(L, -2);
  lua_setmetatable(L, -2);
  pristine_ref_ = luaL_ref(L, LUA_REGISTRYINDEX);
  push_loaded(L);
  lua_pushvalue(L, -2);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  lua_setmetatable(L, LUA_GLOBALSINDEX);
}

void Vm::run_embedded(lua_State* L, const char* name, std::string_view text, int nargs, int nresults) {
  const auto chunk = chunks().compile_embedded(std::string("=[sloth] ") + name, text);
  push_prototype(L, *chunk, static_cast<std::uint32_t>(chunk->prototypes.size()) - 1);
  if (pristine_ref_ != LUA_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, pristine_ref_);
    lua_setfenv(L, -2);
  }
  lua_insert(L, -1 - nargs);
  if (pristine_ref_ != LUA_NOREF) {
    lua_call(L, nargs, nresults);  // while a script runs: a deadline or the memory limit may end it here too
    return;
  }
  const bool our_own_lua_runs = lua_pcall(L, nargs, nresults, 0) == 0;
  if (!our_own_lua_runs) log_error("{}: {}", name, lua_tostring(L, -1));
  SLOTH_CHECK(our_own_lua_runs);
}

void Vm::push_prototype(lua_State* L, const CompiledChunk& chunk, std::uint32_t prototype) {
  const std::string code = chunk.dump_of(prototype);
  SLOTH_CHECK(luaL_loadbufferx(L, code.data(), code.size(), chunk.name.c_str(), "b") == 0);
}

void Vm::seal() {
  lua_State* L = state_;
  if (!host().may_read_sources) {  // in an attempt names are looked up, never asked for
    set_values();
    defer_modules();
    return;
  }
  lua_newtable(L);
  lua_newtable(L);
  const int names = lua_gettop(L) - 1;
  const int builtins = lua_gettop(L);
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  push(L, "_G");
  lua_rawset(L, names);
  for (lua_pushnil(L); lua_next(L, LUA_GLOBALSINDEX) != 0;) {
    const std::string name = lua_tostring(L, -2);
    if (name == "_G") {
      lua_pop(L, 1);
    } else if (name == "package") {
      // What package.loaded holds has names of its own.
      name_builtin(L, names, builtins, name, 0);
    } else {
      name_builtin(L, names, builtins, name, kDeepestName);
    }
  }
  lua_getmetatable(L, (push(L, ""), -1));
  name_builtin(L, names, builtins, "string.<metatable>", 0);
  lua_pop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, kBuiltins);
  lua_setfield(L, LUA_REGISTRYINDEX, kNames);
  set_values();
  defer_modules();
}

// Data, not a built-in: what a file changes in it travels with the functions that use it.
void Vm::set_values() {
  lua_State* L = state_;
  push_value(L, host().values.is_nil() ? Value(Value::Map{}) : host().values);
  lua_pushvalue(L, -1);
  lua_setglobal(L, "values");
  push_loaded(L);
  lua_insert(L, -2);
  lua_setfield(L, -2, "values");
  lua_pop(L, 1);
}

void Vm::push_builtin_names(lua_State* L) { lua_getfield(L, LUA_REGISTRYINDEX, kNames); }

void Vm::push_builtin(lua_State* L, std::string_view path) {
  lua_getfield(L, LUA_REGISTRYINDEX, kBuiltins);
  if (lua_istable(L, -1)) {
    push(L, path);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    // Where the table is complete, what it lacks is no built-in, whatever stands there now.
    if (!lua_isnil(L, -1) || (host().may_read_sources && path != "_G")) return;
  }
  lua_pop(L, 1);
  if (path == "_G") {
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    return;
  }
  if (path == "string.<metatable>") {
    push(L, "");
    lua_getmetatable(L, -1);
    lua_remove(L, -2);
    return;
  }
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  if (const auto deferred = deferred_.find(path.substr(0, path.find('.'))); deferred != deferred_.end()) {
    lua_pushcfunction(L, native<load_deferred>);
    lua_pushvalue(L, -2);
    push(L, deferred->first);
    lua_call(L, 2, 0);
  }
  while (!path.empty() && lua_istable(L, -1)) {
    const auto dot = path.find('.');
    push(L, path.substr(0, dot));
    lua_rawget(L, -2);
    lua_remove(L, -2);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
}

void Vm::keep_builtin(lua_State* L, std::string_view path) {
  lua_getfield(L, LUA_REGISTRYINDEX, kBuiltins);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, kBuiltins);
  }
  push(L, path);
  push_builtin(L, path);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

Result<void> Vm::load(lua_State* L, const std::string& name, std::string_view text) {
  // A script may load() any number of strings: only so many are kept for portable functions.
  constexpr std::size_t kKeptTexts = 32u << 20;
  const bool keep =
      name.starts_with('@') || (host().may_read_sources && texts_size_ + text.size() <= kKeptTexts);
  if (!keep) {
    if (text.starts_with('\x1b'))
      return Error{Code::kInvalid, "bytecode is not accepted; give the source text"};
    if (luaL_loadbufferx(L, text.data(), text.size(), name.c_str(), "t") == 0) return {};
    Error error{Code::kInvalid, lua_tostring(L, -1)};
    lua_pop(L, 1);
    return error;
  }
  auto chunk = chunks().compile(name, text);
  if (!chunk) return chunk.error();
  push_prototype(L, **chunk, static_cast<std::uint32_t>((*chunk)->prototypes.size()) - 1);
  texts_.push_back(*chunk);
  texts_size_ += text.size();
  return {};
}

Vm::Failure Vm::failure_from(lua_State* L, lua_State* thread) {
  Failure failure;
  if (memory_.take_refused() && lua_type(L, -1) == LUA_TSTRING &&
      std::string_view(lua_tostring(L, -1)) == "not enough memory") {
    failure.message = fmt::format("memory limit reached ({} MiB)", memory_.limit() >> 20);
  } else {
    failure.message = error_text(L, lua_gettop(L));
  }
  failure.exit_code = exit_code_at_top(L);
  lua_pop(L, 1);
  TracebackText traceback;
  lua_Debug frame;
  for (int level = 0; lua_getstack(thread, level, &frame) != 0; ++level) {
    lua_getinfo(thread, "Sln", &frame);
    if (frame.source[0] == '=') continue;  // C functions and our own Lua
    const std::string source = frame.source[0] == '@' ? frame.source + 1 : frame.short_src;
    if (failure.place.empty() && frame.source[0] == '@' && frame.currentline > 0) {
      failure.place = fmt::format("{}:{}", source, frame.currentline);
    }
    const std::string what = *frame.what == 'm' ? "main chunk"
                             : frame.name != nullptr
                                 ? fmt::format("function '{}'", frame.name)
                                 : fmt::format("function <{}:{}>", source, frame.linedefined);
    const std::string line = frame.currentline > 0 ? fmt::format(":{}", frame.currentline) : "";
    traceback.add(fmt::format("{}{}: in {}\n", source, line, what));
  }
  failure.traceback = traceback.finish();
  return failure;
}

Vm::Running::Running(Vm& vm) : vm_(vm) { vm_.interrupt_.enter(); }

Vm::Running::~Running() { vm_.interrupt_.leave(); }

void Vm::on_interrupt(InterruptHook callback, void* context) {
  hook_ = callback;
  hook_context_ = context;
}

void Vm::hook(lua_State* L, lua_Debug*) {
  Vm& vm = of(L);
  if (vm.hook_ == nullptr || !vm.hook_(vm.hook_context_, L)) vm.interrupt_.disarm();
}

}  // namespace sloth
