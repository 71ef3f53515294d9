#include "runner/lua/value_codec.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <vector>

namespace sloth {
namespace {

class Reader {
 public:
  Reader(lua_State* L, std::string_view what, CodecLimits limits) : L_(L), path_(what), limits_(limits) {}

  // The value on top of the stack stays there.
  Result<Value> read(int depth) {
    if (depth > limits_.depth) return refuse(fmt::format("is nested deeper than {}", limits_.depth));
    switch (lua_type(L_, -1)) {
      case LUA_TNIL: return Value();
      case LUA_TBOOLEAN: return Value(lua_toboolean(L_, -1) != 0);
      case LUA_TNUMBER: return Value(lua_tonumber(L_, -1));
      case LUA_TSTRING: {
        std::size_t size = 0;
        const char* text = lua_tolstring(L_, -1, &size);
        if (auto fits = charge(size); !fits) return fits.error();
        return Value(std::string(text, size));
      }
      case LUA_TTABLE: return read_table(depth);
      default: return refuse(fmt::format("is a {}, which cannot be sent", luaL_typename(L_, -1)));
    }
  }

 private:
  Result<Value> read_table(int depth) {
    const void* identity = lua_topointer(L_, -1);
    for (const void* open : open_) {
      if (open == identity) return refuse("contains itself, which cannot be sent");
    }
    if (lua_checkstack(L_, 4) == 0) return refuse("is nested too deep");
    open_.push_back(identity);
    auto result = read_entries(depth);
    open_.pop_back();
    return result;
  }

  Result<Value> read_entries(int depth) {
    Value::Map map;
    lua_pushnil(L_);
    while (lua_next(L_, -2) != 0) {
      auto key = read_key();
      if (!key) {
        lua_pop(L_, 2);
        return key.error();
      }
      const std::size_t length = path_.size();
      path_ += std::holds_alternative<std::string>(*key) ? "." + key_text(*key) : "[" + key_text(*key) + "]";
      auto item = charge(16) ? read(depth + 1) : Result<Value>(charge(0).error());
      if (!item) {
        lua_pop(L_, 2);
        return item.error();
      }
      path_.resize(length);
      map.emplace(std::move(*key), std::move(*item));
      lua_pop(L_, 1);
    }
    return as_list(map);
  }

  Result<MapKey> read_key() {
    switch (lua_type(L_, -2)) {
      case LUA_TBOOLEAN: return MapKey(lua_toboolean(L_, -2) != 0);
      case LUA_TNUMBER: return MapKey(lua_tonumber(L_, -2));
      case LUA_TSTRING: {
        std::size_t size = 0;
        const char* text = lua_tolstring(L_, -2, &size);
        if (auto fits = charge(size); !fits) return fits.error();
        return MapKey(std::string(text, size));
      }
      default:
        return refuse(fmt::format("has a {} as a key, which cannot be sent", luaL_typename(L_, -2))).error();
    }
  }

  // Keys 1..n and no others make a list; an integral `n` beside integer keys up to n keeps nil holes.
  static Value as_list(Value::Map& map) {
    if (map.empty()) return Value(std::move(map));
    std::optional<std::size_t> declared;
    std::size_t integers = 0;
    double highest = 0;
    for (const auto& [key, item] : map) {
      if (const auto* number = std::get_if<double>(&key)) {
        if (*number < 1 || std::nearbyint(*number) != *number) return Value(std::move(map));
        ++integers;
        highest = *number;
      } else if (const auto* name = std::get_if<std::string>(&key);
                 name != nullptr && *name == "n" && item.is_number() && item.as_number() >= 0 &&
                 std::nearbyint(item.as_number()) == item.as_number()) {
        declared = static_cast<std::size_t>(item.as_number());
      } else {
        return Value(std::move(map));
      }
    }
    constexpr std::size_t kMostHoles = 1024;  // so that {[1e9]=1, n=1e9} stays small
    const auto length = declared.value_or(integers);
    if (highest > static_cast<double>(length) || (integers == 0) || length > integers + kMostHoles) {
      return Value(std::move(map));
    }
    if (!declared && static_cast<std::size_t>(highest) != integers) return Value(std::move(map));
    Value::List list(length);
    for (auto& [key, item] : map) {
      if (const auto* number = std::get_if<double>(&key))
        list[static_cast<std::size_t>(*number) - 1] = std::move(item);
    }
    return Value(std::move(list));
  }

  Result<void> charge(std::size_t bytes) {
    used_ += bytes;
    if (used_ > limits_.bytes) {
      return Error{Code::kLimit,
                   fmt::format("{} makes the whole larger than {} bytes", path_, limits_.bytes)};
    }
    return {};
  }

  Result<Value> refuse(const std::string& why) const { return Error{Code::kInvalid, path_ + " " + why}; }

  lua_State* L_;
  std::string path_;
  CodecLimits limits_;
  std::size_t used_ = 0;
  std::vector<const void*> open_;
};

void push_key(lua_State* L, const MapKey& key) {
  if (const auto* flag = std::get_if<bool>(&key)) {
    lua_pushboolean(L, *flag ? 1 : 0);
  } else if (const auto* number = std::get_if<double>(&key)) {
    lua_pushnumber(L, *number);
  } else {
    const auto& text = std::get<std::string>(key);
    lua_pushlstring(L, text.data(), text.size());
  }
}

}  // namespace

Result<Value> to_value(lua_State* L, int index, std::string_view what, CodecLimits limits) {
  lua_checkstack(L, 4);
  lua_pushvalue(L, index);
  auto result = Reader(L, what, limits).read(0);
  lua_pop(L, 1);
  return result;
}

void push_value(lua_State* L, const Value& value) {
  luaL_checkstack(L, 4, "value nested too deep");
  switch (value.kind()) {
    case Value::Kind::kNil: lua_pushnil(L); return;
    case Value::Kind::kBool: lua_pushboolean(L, value.as_bool() ? 1 : 0); return;
    case Value::Kind::kNumber: lua_pushnumber(L, value.as_number()); return;
    case Value::Kind::kString: lua_pushlstring(L, value.as_string().data(), value.as_string().size()); return;
    case Value::Kind::kList: {
      const auto& list = value.as_list();
      lua_createtable(L, static_cast<int>(list.size()), 0);
      bool holes = false;
      for (std::size_t i = 0; i < list.size(); ++i) {
        holes = holes || list[i].is_nil();
        push_value(L, list[i]);
        lua_rawseti(L, -2, static_cast<int>(i) + 1);
      }
      if (holes) {
        lua_pushnumber(L, static_cast<double>(list.size()));
        lua_setfield(L, -2, "n");
      }
      return;
    }
    case Value::Kind::kMap: {
      const auto& map = value.as_map();
      lua_createtable(L, 0, static_cast<int>(map.size()));
      for (const auto& [key, item] : map) {
        push_key(L, key);
        push_value(L, item);
        lua_rawset(L, -3);
      }
      return;
    }
  }
}

}  // namespace sloth
