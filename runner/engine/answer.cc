#include "runner/engine/answer.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "runner/lua/value_codec.h"

namespace sloth {
namespace {

constexpr CodecLimits kOutputLimits{.bytes = std::size_t{1} << 20, .depth = 100};

Outcome failure(std::string message) {
  Outcome outcome;
  outcome.kind = OutcomeKind::kFailed;
  outcome.message = std::move(message);
  return outcome;
}

// The results as if the function had returned at least three.
struct Results {
  lua_State* L;
  int first;
  int count;

  [[nodiscard]] int type(int index) const { return index < count ? lua_type(L, first + index) : LUA_TNIL; }
  [[nodiscard]] std::string text(int index) const {
    if (type(index) != LUA_TSTRING && type(index) != LUA_TNUMBER) return "";
    lua_pushvalue(L, first + index);
    std::size_t size = 0;
    const char* bytes = lua_tolstring(L, -1, &size);
    std::string result(bytes, size);
    lua_pop(L, 1);
    return result;
  }
  [[nodiscard]] bool says_no() const {
    if (type(0) == LUA_TBOOLEAN) return lua_toboolean(L, first) == 0;
    return type(0) == LUA_TNIL && type(1) != LUA_TNIL;
  }
};

Results results_of(lua_State* L, int results) { return {L, lua_gettop(L) - results + 1, results}; }

Outcome refusal(const Results& results) {
  std::string message = results.text(1);
  if (message.empty()) {
    message = results.type(1) == LUA_TNIL
                  ? "the task returned false without a message"
                  : fmt::format("the task returned false and a {}; the second value must be a message",
                                lua_typename(results.L, results.type(1)));
  }
  return failure(std::move(message));
}

}  // namespace

Outcome command_answer(lua_State* L, int count) {
  const Results results = results_of(L, count);
  if (results.says_no()) {
    Outcome refused = refusal(results);
    // What it found out before it gave up: the exit code of a shell command.
    if (results.type(2) == LUA_TTABLE) {
      if (auto outputs = to_value(L, results.first + 2, "outputs", kOutputLimits))
        refused.outputs = std::move(*outputs);
    }
    return refused;
  }
  if (results.type(0) != LUA_TNIL && results.type(0) != LUA_TBOOLEAN) {
    return failure(
        fmt::format("the task returned a {} first; return true (or false), then a message, then outputs",
                    lua_typename(L, results.type(0))));
  }
  Outcome outcome;
  if (results.type(1) != LUA_TNIL && results.type(1) != LUA_TSTRING && results.type(1) != LUA_TNUMBER) {
    return failure(
        fmt::format("the task returned true and a {}; the second value is a message, outputs come third",
                    lua_typename(L, results.type(1))));
  }
  outcome.message = results.text(1);
  if (results.type(2) == LUA_TNIL) return outcome;
  if (results.type(2) != LUA_TTABLE) {
    return failure(fmt::format("outputs must be a table, got a {}", lua_typename(L, results.type(2))));
  }
  Result<Value> outputs = to_value(L, results.first + 2, "outputs", kOutputLimits);
  if (!outputs) return failure("cannot keep the task's outputs: " + outputs.error().message);
  outcome.outputs = std::move(*outputs);
  if (const Value* changed = outcome.outputs.get("changed")) outcome.changed = *changed != Value(false);
  return outcome;
}

Outcome hook_answer(lua_State* L, int count) {
  const Results results = results_of(L, count);
  return results.says_no() ? refusal(results) : Outcome{};
}

OperatorAnswer operator_answer(lua_State* L, int count) {
  const Results results = results_of(L, count);
  OperatorAnswer answer;
  if (results.type(0) != LUA_TNIL) answer.yes = lua_toboolean(L, results.first) != 0;
  answer.message = results.text(1);
  return answer;
}

}  // namespace sloth
