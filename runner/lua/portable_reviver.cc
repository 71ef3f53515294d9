// From a PortableStore to live closures.
#include <fmt/format.h>

#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "runner/base/check.h"
#include "runner/lua/portable_codec.h"
#include "runner/lua/prelude.h"
#include "runner/lua/stack.h"

namespace sloth {

class PortableReviver::Impl {
 public:
  Impl(Vm& vm, std::shared_ptr<const PortableStore> store)
      : vm_(vm), store_(std::move(store)), chunks_(store_->chunks.size()) {
    L_ = vm_.state();
    lua_newtable(L_);
    objects_ref_ = luaL_ref(L_, LUA_REGISTRYINDEX);
    for (const PortableStore::Field& field : store_->library_fields) {
      vm_.keep_builtin(L_, field.library + "." + field.name);
      lua_getglobal(L_, field.library.c_str());
      revive(field.value);
      lua_setfield(L_, -2, field.name.c_str());
      lua_pop(L_, 1);
    }
  }

  Result<void> push(lua_State* L, std::uint32_t object) {
    L_ = L;
    revive_object(object);
    if (error_) {
      lua_pop(L, 1);
      return *error_;
    }
    return {};
  }

  std::vector<std::string> changed_tables(lua_State* L) {
    L_ = L;
    std::vector<std::string> changed;
    for (const std::uint32_t number : tables_) {
      const auto& table = std::get<PortableTable>(store_->objects[number]);
      revive_object(number);
      if (!same_content(table)) changed.push_back(table.path);
      lua_pop(L_, 1);
    }
    return changed;
  }

 private:
  void revive(const PortableValue& value) {
    lua_checkstack(L_, 8);
    if (std::holds_alternative<std::monostate>(value)) {
      lua_pushnil(L_);
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      lua_pushboolean(L_, *flag ? 1 : 0);
    } else if (const auto* number = std::get_if<double>(&value)) {
      lua_pushnumber(L_, *number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      lua_pushlstring(L_, text->data(), text->size());
    } else if (const auto* builtin = std::get_if<PortableBuiltin>(&value)) {
      vm_.push_builtin(L_, builtin->path);
    } else if (const auto* ref = std::get_if<PortableRef>(&value)) {
      revive_object(ref->object);
    } else {
      const auto& integer = std::get<PortableInteger>(value);
      const std::string text_of = integer.is_unsigned
                                      ? fmt::format("return {}ULL", integer.bits)
                                      : fmt::format("return {}LL", static_cast<std::int64_t>(integer.bits));
      SLOTH_CHECK(luaL_loadstring(L_, text_of.c_str()) == 0);
      lua_call(L_, 0, 1);
    }
  }

  // Pushes objects[number], made now or before.
  void revive_object(std::uint32_t number) {
    lua_rawgeti(L_, LUA_REGISTRYINDEX, objects_ref_);
    lua_rawgeti(L_, -1, static_cast<int>(number) + 1);
    lua_remove(L_, -2);
    if (!lua_isnil(L_, -1)) return;
    lua_pop(L_, 1);
    if (const auto* table = std::get_if<PortableTable>(&store_->objects[number])) {
      make_table(number, *table);
    } else {
      make_closure(number, std::get<PortableClosure>(store_->objects[number]));
    }
  }

  // Known before its parts are made, so that cycles end.
  void remember(std::uint32_t number) {
    lua_rawgeti(L_, LUA_REGISTRYINDEX, objects_ref_);
    lua_pushvalue(L_, -2);
    lua_rawseti(L_, -2, static_cast<int>(number) + 1);
    lua_pop(L_, 1);
  }

  void make_table(std::uint32_t number, const PortableTable& table) {
    lua_createtable(L_, 0, 0);
    remember(number);
    tables_.push_back(number);
    for (const auto& [key, value] : table.entries) {
      revive(key);
      revive(value);
      lua_rawset(L_, -3);
    }
    if (std::holds_alternative<std::monostate>(table.metatable)) return;
    revive(table.metatable);
    lua_setmetatable(L_, -2);
  }

  void make_closure(std::uint32_t number, const PortableClosure& closure) {
    if (chunks_[closure.chunk] == nullptr) {
      const PortableChunk& source = store_->chunks[closure.chunk];
      auto compiled = vm_.chunks().compile(source.name, source.text, source.digest);
      if (!compiled) {
        if (!error_) error_ = compiled.error();
        lua_pushnil(L_);
        return;
      }
      chunks_[closure.chunk] = *compiled;
    }
    vm_.push_prototype(L_, *chunks_[closure.chunk], closure.prototype);
    remember(number);
    // Captures are set before the first run: the compiler takes those that are never assigned for constants.
    for (std::size_t i = 0; i < closure.upvalues.size(); ++i)
      set_capture(closure.upvalues[i], static_cast<int>(i) + 1);
    for (const auto& [name, value] : closure.globals) set_global(name, value);
    for (const auto& [name, module] : closure.requires_) set_module(name, module);
  }

  // Variables that several closures share are shared here too: the later ones join the first one's.
  void set_capture(std::uint32_t cell, int slot) {
    Owner& owner = cells_[cell];
    if (owner.slot != 0) {
      lua_rawgeti(L_, LUA_REGISTRYINDEX, owner.ref);
      lua_upvaluejoin(L_, -2, slot, -1, owner.slot);
      lua_pop(L_, 1);
      return;
    }
    lua_pushvalue(L_, -1);
    owner = {luaL_ref(L_, LUA_REGISTRYINDEX), slot};
    revive(store_->cells[cell]);
    lua_setupvalue(L_, -2, slot);
  }

  void set_global(const std::string& name, const PortableValue& value) {
    if (!globals_.insert(name).second) return;
    vm_.keep_builtin(L_, name);
    revive(value);
    lua_setglobal(L_, name.c_str());
  }

  void set_module(const std::string& name, std::uint32_t module) {
    push_travelled_modules(L_);
    revive(store_->modules[module].loaded);
    lua_pushvalue(L_, -1);
    lua_pushcclosure(
        L_,
        [](lua_State* L) {
          lua_pushvalue(L, lua_upvalueindex(1));
          return 1;
        },
        1);
    lua_setfield(L_, -3, name.c_str());
    lua_pop(L_, 2);
  }

  // Whether the table on top holds what it was made of.
  bool same_content(const PortableTable& table) {
    for (const auto& [key, value] : table.entries) {
      revive(key);
      lua_rawget(L_, -2);
      revive(value);
      const bool same = lua_rawequal(L_, -1, -2) != 0;
      lua_pop(L_, 2);
      // A revived 64-bit integer is another box each time.
      if (!same && !std::holds_alternative<PortableInteger>(value)) return false;
    }
    std::size_t count = 0;
    for (lua_pushnil(L_); lua_next(L_, -2) != 0; lua_pop(L_, 1)) ++count;
    return count == table.entries.size();
  }

  struct Owner {
    int ref = LUA_NOREF;
    int slot = 0;
  };
  Vm& vm_;
  std::shared_ptr<const PortableStore> store_;
  lua_State* L_ = nullptr;
  std::vector<std::shared_ptr<const CompiledChunk>> chunks_;
  // Only what this VM needs of the store: a run of many tasks must not pay for all of them in each.
  std::vector<std::uint32_t> tables_;
  std::unordered_map<std::uint32_t, Owner> cells_;
  std::set<std::string> globals_;
  std::optional<Error> error_;
  int objects_ref_ = LUA_NOREF;
};

PortableReviver::PortableReviver(Vm& vm, std::shared_ptr<const PortableStore> store)
    : impl_(std::make_unique<Impl>(vm, std::move(store))) {}
PortableReviver::~PortableReviver() = default;

Result<void> PortableReviver::push(lua_State* L, std::uint32_t object) { return impl_->push(L, object); }

std::vector<std::string> PortableReviver::changed_tables(lua_State* L) { return impl_->changed_tables(L); }

}  // namespace sloth
