// PortableFunction: a Lua function as plain data: source text, the place of its prototype in the
// compiled text, and the graph of what it captures. Made and revived by runner/lua/portable_codec.
//
// Immutable once made, shared by const pointer: thread-safe. All functions of one task file refer into
// one PortableStore, so that what they share is kept once and cost does not grow with their number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sloth {

struct PortableChunk {
  std::string name;    // as in error messages: "@tasks.lua"
  std::string text;    // source; bytecode never leaves a process
  std::string digest;  // of the text
};

// One value of the graph: nil, boolean, number, bytes, a built-in by its path ("string.format"), an
// object by index, or an integer of 64 bits (LuaJIT's LL / ULL).
struct PortableBuiltin {
  std::string path;
  bool operator==(const PortableBuiltin&) const = default;
};
struct PortableRef {
  std::uint32_t object = 0;
  bool operator==(const PortableRef&) const = default;
};
struct PortableInteger {
  std::uint64_t bits = 0;
  bool is_unsigned = false;
  bool operator==(const PortableInteger&) const = default;
};
using PortableValue =
    std::variant<std::monostate, bool, double, std::string, PortableBuiltin, PortableRef, PortableInteger>;

struct PortableTable {
  std::vector<std::pair<PortableValue, PortableValue>> entries;  // in order of traversal
  PortableValue metatable;                                      // nil when none
  std::string path;                                             // how it is reached, for messages: "config.hosts"
};

struct PortableClosure {
  std::uint32_t chunk = 0;
  std::uint32_t prototype = 0;                                    // children first, as the compiler numbers them
  std::vector<std::uint32_t> upvalues;                            // indexes into PortableStore::cells, shared by identity
  std::vector<std::pair<std::string, PortableValue>> globals;    // user globals that it names (and those it calls name)
  std::vector<std::pair<std::string, std::uint32_t>> requires_;  // constant require/import: name -> module index
};

// What `require(name)` inside a function gives: a value loaded already, or text to run there.
struct PortableModule {
  std::string name;
  PortableValue loaded;
  std::int64_t chunk = -1;  // >= 0: run this chunk's text instead
};

using PortableObject = std::variant<PortableTable, PortableClosure>;

struct PortableStore {
  std::vector<PortableChunk> chunks;
  std::vector<PortableObject> objects;
  std::vector<PortableValue> cells;  // captured variables
  std::vector<PortableModule> modules;
  // Fields that the file added to or replaced in built-in libraries: ("string", "trim", value).
  struct Field {
    std::string library;
    std::string name;
    PortableValue value;
  };
  std::vector<Field> library_fields;
};

struct PortableFunction {
  std::shared_ptr<const PortableStore> store;
  std::uint32_t object = 0;  // a PortableClosure
};

}  // namespace sloth
