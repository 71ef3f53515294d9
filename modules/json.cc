#include "modules/json.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "runner/base/json.h"
#include "runner/lua/stack.h"

namespace sloth {
namespace embedded {
extern const std::string_view modules_json;
extern const std::string_view modules_json_meta;
}  // namespace embedded
namespace {

constexpr int kDeepest = 200;        // what from_json reads back
constexpr double kMostHoles = 1024;  // so that {[1e9]=1, n=1e9} is no list of a billion nulls
constexpr const char* kListType = "sloth.json.list";
constexpr const char* kMark = "__jsontype";

std::string_view text_at(lua_State* L, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

class Encoder {
 public:
  Encoder(lua_State* L, std::string_view what) : L_(L), path_(what) {}

  // The value on top of the stack, which stays there.
  Result<Value> read() {
    switch (lua_type(L_, -1)) {
      case LUA_TNIL: return Value();
      case LUA_TBOOLEAN: return Value(lua_toboolean(L_, -1) != 0);
      case LUA_TSTRING: return Value(text_at(L_, -1));
      case LUA_TTABLE: return read_table();
      case LUA_TNUMBER: {
        const double number = lua_tonumber(L_, -1);
        if (!std::isfinite(number))
          return refuse(std::isnan(number) ? "is not a number (nan)" : "is infinite");
        return Value(number);
      }
      default: return refuse(fmt::format("is a {}", luaL_typename(L_, -1)));
    }
  }

 private:
  struct Shape {
    std::size_t entries = 0;
    std::size_t integers = 0;
    double highest = 0;
    double declared = -1;  // the field n
  };

  Result<Value> read_table() {
    const void* identity = lua_topointer(L_, -1);
    for (const void* open : open_) {
      if (open == identity) return refuse("contains itself");
    }
    if (open_.size() >= kDeepest || lua_checkstack(L_, 6) == 0) {
      return refuse(fmt::format("is nested deeper than {}", kDeepest));
    }
    open_.push_back(identity);
    const int top = lua_gettop(L_);
    auto result = read_entries();
    lua_settop(L_, top);
    open_.pop_back();
    return result;
  }

  Result<Value> read_entries() {
    const std::string mark = mark_of();
    if (mark == "null") return Value();
    const Shape shape = shape_of();
    const bool marked = mark == "array";
    const std::size_t named = shape.entries - shape.integers - (shape.declared >= 0 ? 1 : 0);
    const double length = shape.declared >= 0 ? shape.declared : shape.highest;
    const bool complete =
        shape.declared >= 0 ? length >= shape.highest : length == static_cast<double>(shape.integers);
    if (named == 0 && (marked || shape.integers > 0) && complete &&
        length <= static_cast<double>(shape.integers) + kMostHoles) {
      return read_list(static_cast<int>(length));
    }
    if (marked) return refuse("is marked as a list but has other keys than 1 to n");
    return read_map();
  }

  // The word in the metatable, or "".
  std::string mark_of() {
    if (luaL_getmetafield(L_, -1, kMark) == 0) return "";
    std::string mark = lua_type(L_, -1) == LUA_TSTRING ? std::string(text_at(L_, -1)) : "";
    lua_pop(L_, 1);
    return mark;
  }

  Shape shape_of() {
    Shape shape;
    for (lua_pushnil(L_); lua_next(L_, -2) != 0; lua_pop(L_, 1)) {
      ++shape.entries;
      const double number = lua_type(L_, -2) == LUA_TNUMBER ? lua_tonumber(L_, -2) : 0;
      if (number >= 1 && std::nearbyint(number) == number) {
        ++shape.integers;
        shape.highest = std::fmax(shape.highest, number);
      } else if (lua_type(L_, -2) == LUA_TSTRING && text_at(L_, -2) == "n" &&
                 lua_type(L_, -1) == LUA_TNUMBER) {
        const double declared = lua_tonumber(L_, -1);
        if (declared >= 0 && std::nearbyint(declared) == declared) shape.declared = declared;
      }
    }
    return shape;
  }

  Result<Value> read_list(int length) {
    Value::List list;
    list.reserve(static_cast<std::size_t>(length));
    for (int i = 1; i <= length; ++i) {
      lua_rawgeti(L_, -1, i);
      auto item = read_child(fmt::format("[{}]", i));
      if (!item) return item;
      list.push_back(std::move(*item));
      lua_pop(L_, 1);
    }
    return Value(std::move(list));
  }

  Result<Value> read_map() {
    Value::Map map;
    for (lua_pushnil(L_); lua_next(L_, -2) != 0; lua_pop(L_, 1)) {
      std::string key;
      switch (lua_type(L_, -2)) {
        case LUA_TSTRING: key = text_at(L_, -2); break;
        case LUA_TNUMBER: key = number_text(lua_tonumber(L_, -2)); break;
        case LUA_TBOOLEAN: key = lua_toboolean(L_, -2) != 0 ? "true" : "false"; break;
        default: return refuse(fmt::format("has a {} as a key", luaL_typename(L_, -2)));
      }
      if (map.contains(key)) return refuse(fmt::format("has two keys that are both \"{}\" in JSON", key));
      auto item = read_child("." + key);
      if (!item) return item;
      map.emplace(std::move(key), std::move(*item));
    }
    return Value(std::move(map));
  }

  Result<Value> read_child(const std::string& step) {
    const std::size_t length = path_.size();
    path_ += step;
    auto item = read();
    path_.resize(length);
    return item;
  }

  [[nodiscard]] Result<Value> refuse(const std::string& why) const {
    return Error{Code::kInvalid, fmt::format("{} {}, which JSON cannot hold", path_, why)};
  }

  lua_State* L_;
  std::string path_;
  std::vector<const void*> open_;
};

// The metatable of lists, made on first need.
void push_list_type(lua_State* L) {
  if (luaL_newmetatable(L, kListType) != 0) {
    lua_pushliteral(L, "array");
    lua_setfield(L, -2, kMark);
  }
}

void push_below(lua_State* L, const Value& value, int list_type) {
  luaL_checkstack(L, 4, "JSON nested too deep");
  if (value.is_list()) {
    const auto& list = value.as_list();
    lua_createtable(L, static_cast<int>(list.size()), 0);
    bool holes = false;
    int position = 0;
    for (const Value& item : list) {
      holes = holes || item.is_nil();
      push_below(L, item, list_type);
      lua_rawseti(L, -2, ++position);
    }
    if (holes) {
      lua_pushinteger(L, position);
      lua_setfield(L, -2, "n");
    }
    lua_pushvalue(L, list_type);
    lua_setmetatable(L, -2);
  } else if (value.is_map()) {
    lua_createtable(L, 0, static_cast<int>(value.as_map().size()));
    for (const auto& [key, item] : value.as_map()) {
      push(L, key_text(key));
      push_below(L, item, list_type);
      lua_rawset(L, -3);
    }
  } else if (value.is_string()) {
    push(L, value.as_string());
  } else if (value.is_number()) {
    lua_pushnumber(L, value.as_number());
  } else if (value.is_bool()) {
    lua_pushboolean(L, value.as_bool() ? 1 : 0);
  } else {
    lua_pushnil(L);
  }
}

int encode(lua_State* L) {
  constexpr long long kWidest = 16;
  luaL_checkany(L, 1);
  int indent = -1;
  if (!lua_isnoneornil(L, 2)) {
    check_options(L, 2, {"indent", "pretty"});
    if (boolean_field(L, 2, "pretty").value_or(false)) indent = 2;
    if (const auto width = number_field(L, 2, "indent")) {
      if (!(*width >= 0 && *width <= kWidest) || std::nearbyint(*width) != *width) {
        raise(L, fmt::format("bad option \"indent\" (whole number from 0 to {} expected, got {})", kWidest,
                             *width));
      }
      indent = static_cast<int>(*width);
    }
  }
  auto text = encode_json(L, 1, "value", indent);
  if (!text) arg_error(L, 1, text.error().message);
  push(L, *text);
  return 1;
}

int decode(lua_State* L) {
  auto value = from_json(check_string(L, 1));
  if (!value) return fail(L, value.error().message);
  push_json(L, *value);
  return 1;
}

int array(lua_State* L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  push_list_type(L);
  lua_setmetatable(L, 1);
  return 1;
}

}  // namespace

Result<std::string> encode_json(lua_State* L, int index, std::string_view what, int indent) {
  lua_pushvalue(L, index);
  auto value = Encoder(L, what).read();
  lua_pop(L, 1);
  if (!value) return value.error();
  return to_json(*value, indent);
}

void push_json(lua_State* L, const Value& value) {
  push_list_type(L);
  push_below(L, value, lua_gettop(L));
  lua_remove(L, -2);
}

Module json_module() {
  return Module{.name = "json",
                .natives = {{"encode", native<encode>}, {"decode", native<decode>}, {"array", native<array>}},
                .lua = embedded::modules_json,
                .stub = embedded::modules_json_meta};
}

}  // namespace sloth
