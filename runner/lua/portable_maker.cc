// From live closures to a PortableStore.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <unordered_map>
#include <utility>

#include "runner/base/check.h"
#include "runner/lua/portable_codec.h"
#include "runner/lua/prelude.h"
#include "runner/lua/stack.h"

namespace sloth {
namespace {

constexpr int kDeepest = 1000;  // of captured data; a longer chain of tables is a list by another name

std::string dump_function(lua_State* L) {
  std::string out;
  const auto writer = [](lua_State*, const void* data, std::size_t size, void* to) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
    return 0;
  };
  return lua_dump(L, writer, &out) == 0 ? out : std::string();
}

}  // namespace

class PortableMaker::Impl {
 public:
  explicit Impl(Vm& vm) : vm_(vm), store_(std::make_shared<PortableStore>()) {}

  Result<std::uint32_t> add(lua_State* L, int index, const std::string& what) {
    L_ = L;
    what_ = what;
    error_.reset();
    const int top = lua_gettop(L);
    lua_pushvalue(L, index);
    vm_.push_builtin_names(L);
    lua_insert(L, -2);
    names_ = lua_gettop(L) - 1;
    collect_library_fields();
    if (lua_iscfunction(L, -1) != 0) {
      lua_settop(L, top);
      return Error{Code::kInvalid, what + ": a function written in Lua is needed, not a built-in"};
    }
    added_.clear();
    const PortableValue value = encode("function", 0);
    lua_settop(L, top);
    if (error_) {
      // What was half made must be refused again when another function needs it.
      for (const void* identity : added_) {
        objects_.erase(identity);
        cells_.erase(identity);
      }
      return *error_;
    }
    return std::get<PortableRef>(value).object;
  }

  std::shared_ptr<const PortableStore> finish() { return store_; }

 private:
  // The value on top of the stack stays there. After an error the result means nothing.
  PortableValue encode(const std::string& path, int depth) {
    if (error_) return {};
    if (depth > kDeepest) return refuse(path, fmt::format("nested deeper than {}", kDeepest));
    if (lua_checkstack(L_, 8) == 0) return refuse(path, "nested too deep");
    switch (lua_type(L_, -1)) {
      case LUA_TNIL: return std::monostate();
      case LUA_TBOOLEAN: return lua_toboolean(L_, -1) != 0;
      case LUA_TNUMBER: return lua_tonumber(L_, -1);
      case LUA_TSTRING: {
        std::size_t size = 0;
        const char* text = lua_tolstring(L_, -1, &size);
        return std::string(text, size);
      }
      case LUA_TTABLE:
      case LUA_TFUNCTION: return encode_object(path, depth);
      default: break;
    }
    constexpr int kCdata = 10;  // LuaJIT's own type number; lua.h does not name it
    if (lua_type(L_, -1) == kCdata) return encode_integer(path);
    const std::string brand = brand_of_top();
    return refuse_live(path, brand.empty() ? luaL_typename(L_, -1) : "handle of a live " + brand);
  }

  // What the value on top calls itself when it must stay where it lives: "channel", "goroutine"; else "".
  std::string brand_of_top() {
    if (lua_getmetatable(L_, -1) == 0) return "";
    lua_pushliteral(L_, "__brand");
    lua_rawget(L_, -2);
    std::string brand = lua_isstring(L_, -1) != 0 ? lua_tostring(L_, -1) : "";
    lua_pop(L_, 2);
    return brand;
  }

  // LuaJIT's boxed 64-bit integers print as 42LL and 42ULL.
  PortableValue encode_integer(const std::string& path) {
    lua_getglobal(L_, "tostring");
    lua_pushvalue(L_, -2);
    std::string text;
    if (lua_pcall(L_, 1, 1, 0) == 0 && lua_type(L_, -1) == LUA_TSTRING) text = lua_tostring(L_, -1);
    lua_pop(L_, 1);
    const bool is_unsigned = text.ends_with("ULL");
    if (!is_unsigned && !text.ends_with("LL")) return refuse_live(path, "cdata");
    return PortableInteger{is_unsigned ? std::strtoull(text.c_str(), nullptr, 10)
                                       : static_cast<std::uint64_t>(std::strtoll(text.c_str(), nullptr, 10)),
                           is_unsigned};
  }

  PortableValue encode_object(const std::string& path, int depth) {
    lua_pushvalue(L_, -1);
    lua_rawget(L_, names_);
    if (lua_isstring(L_, -1) != 0) {
      PortableBuiltin builtin{lua_tostring(L_, -1)};
      lua_pop(L_, 1);
      return builtin;
    }
    lua_pop(L_, 1);
    const void* identity = lua_topointer(L_, -1);
    if (const auto found = objects_.find(identity); found != objects_.end())
      return PortableRef{found->second};
    return lua_istable(L_, -1) ? encode_table(identity, path, depth) : encode_closure(identity, path, depth);
  }

  PortableValue encode_table(const void* identity, const std::string& path, int depth) {
    if (lua_getmetatable(L_, -1) != 0) {
      lua_pushliteral(L_, "__portable");
      lua_rawget(L_, -2);
      if (lua_isfunction(L_, -1)) return encode_by_itself(path, depth);
      lua_pop(L_, 2);
      if (const std::string brand = brand_of_top(); !brand.empty()) {
        return refuse_live(path, "handle of a live " + brand);
      }
    }
    const auto number = static_cast<std::uint32_t>(store_->objects.size());
    objects_.emplace(identity, number);
    added_.push_back(identity);
    store_->objects.emplace_back(PortableTable{{}, {}, path});
    keep_alive();
    PortableTable table;
    table.path = path;
    lua_pushnil(L_);
    while (lua_next(L_, -2) != 0) {
      lua_pushvalue(L_, -2);
      const std::string inner = path + key_path();
      PortableValue key = encode(inner + " (key)", depth + 1);
      lua_pop(L_, 1);
      PortableValue value = encode(inner, depth + 1);
      lua_pop(L_, 1);
      if (error_) {
        lua_pop(L_, 1);
        return {};
      }
      table.entries.emplace_back(std::move(key), std::move(value));
    }
    if (lua_getmetatable(L_, -1) != 0) {
      table.metatable = encode(path + ".<metatable>", depth + 1);
      lua_pop(L_, 1);
    }
    store_->objects[number] = std::move(table);
    return PortableRef{number};
  }

  // An object that says what travels in its place: object, metatable, function on the stack.
  PortableValue encode_by_itself(const std::string& path, int depth) {
    lua_pushvalue(L_, -3);
    if (lua_pcall(L_, 1, 1, 0) != 0) {
      const std::string why = lua_tostring(L_, -1);
      lua_pop(L_, 2);
      return refuse(path, why);
    }
    PortableValue value = encode(path, depth + 1);
    lua_pop(L_, 2);
    return value;
  }

  std::string key_path() const {
    if (lua_type(L_, -1) == LUA_TSTRING) return std::string(".") + lua_tostring(L_, -1);
    if (lua_type(L_, -1) == LUA_TNUMBER) return fmt::format("[{}]", lua_tonumber(L_, -1));
    return fmt::format("[{}]", luaL_typename(L_, -1));
  }

  PortableValue encode_closure(const void* identity, const std::string& path, int depth) {
    if (lua_iscfunction(L_, -1) != 0) return refuse(path, "built-in function that has no name");
    lua_Debug info;
    lua_pushvalue(L_, -1);
    lua_getinfo(L_, ">S", &info);
    const std::string code = dump_function(L_);
    const auto [chunk, prototype] = locate(info.source, code);
    if (chunk == nullptr)
      return refuse(path,
                    "function whose source text is not known: made by a built-in such as coroutine.wrap");
    const auto number = static_cast<std::uint32_t>(store_->objects.size());
    objects_.emplace(identity, number);
    added_.push_back(identity);
    store_->objects.emplace_back(PortableClosure{});
    keep_alive();

    PortableClosure closure;
    closure.chunk = chunk_number(*chunk);
    closure.prototype = prototype;
    const Prototype& proto = chunk->prototypes[prototype];
    const std::string used =
        fmt::format("{}:{}", chunk->name.substr(chunk->name.starts_with('@') ? 1 : 0), proto.line);
    const std::string outer_place = std::exchange(place_, used);
    if (!check_environment(path)) return {};
    for (int i = 1; i <= static_cast<int>(proto.upvalues.size()); ++i) {
      const void* cell = lua_upvalueid(L_, -1, i);
      auto [known, fresh] = cells_.try_emplace(cell, static_cast<std::uint32_t>(store_->cells.size()));
      closure.upvalues.push_back(known->second);
      if (!fresh) continue;
      added_.push_back(cell);
      store_->cells.emplace_back();
      const std::uint32_t slot = known->second;
      const char* name = lua_getupvalue(L_, -1, i);
      PortableValue value = encode(path == "function" ? name : path + "." + name, depth + 1);
      lua_pop(L_, 1);
      if (error_) return {};
      store_->cells[slot] = std::move(value);
    }
    encode_globals(proto, path, depth, closure);
    encode_required(*chunk, proto, depth, closure);
    place_ = outer_place;
    store_->objects[number] = std::move(closure);
    return PortableRef{number};
  }

  // Functions with an environment of their own read other globals than those that would travel.
  bool check_environment(const std::string& path) {
    lua_getfenv(L_, -1);
    const bool usual = lua_rawequal(L_, -1, LUA_GLOBALSINDEX) != 0;
    lua_pop(L_, 1);
    if (!usual) {
      refuse(path, "function with an environment of its own (setfenv)",
             "; hand it what it needs as arguments or captures");
    }
    return usual;
  }

  void encode_globals(const Prototype& proto, const std::string& path, int depth, PortableClosure& closure) {
    const bool all = std::any_of(
        proto.globals_read.begin(), proto.globals_read.end(),
        [](const std::string& name) { return name == "_G" || name == "getfenv" || name == "setfenv"; });
    if (!all) {
      for (const std::string& name : proto.globals_read) encode_global(name, path, depth, closure);
      return;
    }
    lua_pushnil(L_);
    std::vector<std::string> names;
    while (lua_next(L_, LUA_GLOBALSINDEX) != 0) {
      lua_pop(L_, 1);
      if (lua_type(L_, -1) == LUA_TSTRING) names.emplace_back(lua_tostring(L_, -1));
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) encode_global(name, path, depth, closure);
  }

  void encode_global(const std::string& name, const std::string& path, int depth, PortableClosure& closure) {
    if (error_) return;
    push(L_, name);
    lua_rawget(L_, LUA_GLOBALSINDEX);
    if (!lua_isnil(L_, -1) && !is_builtin(name)) {
      PortableValue value = encode((path == "function" ? "" : path + ".") + name, depth + 1);
      closure.globals.emplace_back(name, std::move(value));
    }
    lua_pop(L_, 1);
  }

  // Whether the value on top is the built-in of that name.
  bool is_builtin(const std::string& name) {
    lua_pushvalue(L_, -1);
    lua_rawget(L_, names_);
    const bool same = lua_isstring(L_, -1) != 0 && name == lua_tostring(L_, -1);
    lua_pop(L_, 1);
    if (same || name == "_G") return true;
    // values are data that every VM has; aliases such as an installed module under two names have one of
    // them.
    lua_pushvalue(L_, -1);
    vm_.push_builtin(L_, name);
    const bool alias =
        lua_rawequal(L_, -1, -2) != 0 && lua_type(L_, -1) != LUA_TTABLE ? lua_isfunction(L_, -1) : false;
    lua_pop(L_, 2);
    return alias;
  }

  // require("x") and import("x") with a constant: what is loaded travels as the value it is, the rest as
  // text.
  void encode_required(const CompiledChunk& chunk, const Prototype& proto, int depth,
                       PortableClosure& closure) {
    for (const std::string& name : proto.required) {
      if (error_) return;
      const std::string key = chunk.name + "\n" + name;
      if (const auto known = modules_.find(key); known != modules_.end()) {
        closure.requires_.emplace_back(name, known->second);
        continue;
      }
      push_loaded(L_);
      push(L_, name);
      lua_rawget(L_, -2);
      lua_remove(L_, -2);
      lua_pushvalue(L_, -1);
      lua_rawget(L_, names_);
      const bool builtin = lua_isstring(L_, -1) != 0;
      lua_pop(L_, 1);
      if (builtin) {
        lua_pop(L_, 1);
        continue;
      }
      if (lua_isnil(L_, -1)) {
        lua_pop(L_, 1);
        if (!load_module(name)) continue;  // the call itself says so, when it is reached
      }
      const auto number = static_cast<std::uint32_t>(store_->modules.size());
      modules_.emplace(key, number);
      closure.requires_.emplace_back(name, number);
      store_->modules.push_back({name, {}, -1});
      PortableValue value = encode(name, depth + 1);
      store_->modules[number].loaded = std::move(value);
      lua_pop(L_, 1);
    }
  }

  // Loads the module here and now, as its require would; pushes its value.
  bool load_module(const std::string& name) {
    for (const char* const loader : {"require", "import"}) {
      lua_getglobal(L_, loader);
      push(L_, name);
      if (lua_pcall(L_, 1, 1, 0) == 0 && !lua_isnil(L_, -1)) return true;
      lua_pop(L_, 1);
    }
    return false;
  }

  struct Located {
    std::shared_ptr<const CompiledChunk> chunk;
    std::uint32_t prototype;
  };
  Located locate(const char* source, const std::string& code) {
    const auto& texts = vm_.texts();
    for (auto it = texts.rbegin(); it != texts.rend(); ++it) {
      if ((*it)->name != source) continue;
      if (const std::int64_t found = (*it)->find(code); found >= 0)
        return {*it, static_cast<std::uint32_t>(found)};
    }
    return {nullptr, 0};
  }

  std::uint32_t chunk_number(const CompiledChunk& chunk) {
    const auto [known, fresh] =
        chunks_.try_emplace(&chunk, static_cast<std::uint32_t>(store_->chunks.size()));
    if (fresh) store_->chunks.push_back({chunk.name, chunk.text, chunk.digest});
    return known->second;
  }

  // Fields that the file put into built-in libraries travel with everything.
  void collect_library_fields() {
    if (std::exchange(fields_collected_, true)) return;
    for (const char* const library :
         {"string", "table", "math", "os", "io", "coroutine", "bit", "goroutine"}) {
      lua_pushstring(L_, library);
      lua_rawget(L_, LUA_GLOBALSINDEX);  // a module that nobody has named yet has no fields of the file's
      if (!lua_istable(L_, -1)) {
        lua_pop(L_, 1);
        continue;
      }
      lua_pushnil(L_);
      while (lua_next(L_, -2) != 0) {
        const std::string path =
            std::string(library) + "." + (lua_type(L_, -2) == LUA_TSTRING ? lua_tostring(L_, -2) : "?");
        lua_pushvalue(L_, -1);
        lua_rawget(L_, names_);
        const bool builtin = lua_isstring(L_, -1) != 0;
        lua_pop(L_, 1);
        if (!builtin && lua_type(L_, -2) == LUA_TSTRING && (lua_isfunction(L_, -1) || lua_istable(L_, -1))) {
          PortableValue value = encode(path, 1);
          store_->library_fields.push_back({library, lua_tostring(L_, -2), std::move(value)});
        }
        lua_pop(L_, 1);
      }
      lua_pop(L_, 1);
    }
  }

  // Identities are addresses: what was seen must not be collected while this lives.
  void keep_alive() {
    lua_pushvalue(L_, -1);
    anchors_.push_back(luaL_ref(L_, LUA_REGISTRYINDEX));
  }

  PortableValue refuse(const std::string& path, const std::string& why, const std::string& cure = "") {
    if (!error_) {
      error_ = Error{Code::kInvalid, fmt::format("{}: cannot send capture \"{}\" ({}){}{}", what_, path, why,
                                                 place_.empty() ? "" : " used at " + place_, cure)};
    }
    return {};
  }

  // What lives where it was made.
  PortableValue refuse_live(const std::string& path, const std::string& why) {
    return refuse(path, why, "; create it inside the function that uses it");
  }

  Vm& vm_;
  std::shared_ptr<PortableStore> store_;
  lua_State* L_ = nullptr;
  int names_ = 0;
  std::string what_;
  std::string place_;
  std::optional<Error> error_;
  bool fields_collected_ = false;
  std::unordered_map<const void*, std::uint32_t> objects_;
  std::unordered_map<const void*, std::uint32_t> cells_;
  std::unordered_map<const CompiledChunk*, std::uint32_t> chunks_;
  std::map<std::string, std::uint32_t> modules_;
  std::vector<int> anchors_;
  std::vector<const void*> added_;  // by the add() under way
};

PortableMaker::PortableMaker(Vm& vm) : impl_(std::make_unique<Impl>(vm)) {}
PortableMaker::~PortableMaker() = default;

Result<std::uint32_t> PortableMaker::add(lua_State* L, int index, const std::string& what) {
  return impl_->add(L, index, what);
}

std::shared_ptr<const PortableStore> PortableMaker::finish() { return impl_->finish(); }

}  // namespace sloth
