// Lua values to Value and back.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>
#include <string_view>

#include "runner/base/result.h"
#include "runner/base/value.h"

namespace sloth {

struct CodecLimits {
  std::size_t bytes = 64u << 20;  // of all strings and entries together
  int depth = 100;
};

// The value at `index`. A table with keys 1..n and no others is a list ({} is an empty map; a field `n`
// beside integer keys keeps nil holes up to n). Functions, coroutines, userdata, cycles, NaN keys, too deep
// and too large are refused with the path, which starts with `what`: `outputs.a.b[3] is a function`. Never
// raises and never runs Lua code (metatables are ignored).
Result<Value> to_value(lua_State* L, int index, std::string_view what, CodecLimits limits = {});

void push_value(lua_State* L, const Value& value);

}  // namespace sloth
