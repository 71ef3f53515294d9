// The Lua module `json`, and its two halves for other modules that speak JSON (http).
//
// Strand-confined: call only on its strand.
#pragma once

#include <string>
#include <string_view>

#include "runner/base/result.h"
#include "runner/base/value.h"
#include "runner/lua/module.h"

namespace sloth {

Module json_module();

// The Lua value at `index` as JSON. `indent` < 0: one line. Lists and maps are told apart as value_codec
// does, and by the mark of json.array. kInvalid with the path, which starts with `what`, for functions,
// cycles, nan, infinities and the like. Never raises.
Result<std::string> encode_json(lua_State* L, int index, std::string_view what, int indent = -1);

// Pushes what from_json gave; its lists carry the mark of json.array, so that an empty one stays a list.
void push_json(lua_State* L, const Value& value);

}  // namespace sloth
