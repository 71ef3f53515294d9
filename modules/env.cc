#include "modules/env.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "runner/base/nearest.h"
#include "runner/lua/stack.h"
#include "runner/lua/vm.h"

namespace sloth {

namespace embedded {
extern const std::string_view modules_env;
extern const std::string_view modules_env_meta;
}  // namespace embedded

namespace {

const std::string* find(lua_State* L, std::string_view name) {
  for (const auto& [known, value] : Vm::of(L).host().environment) {
    if (known == name) return &value;
  }
  return nullptr;
}

[[noreturn]] void raise_missing(lua_State* L, std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : Vm::of(L).host().environment) names.push_back(entry.first);
  raise(L, fmt::format("environment variable \"{}\" is not set{}", name, did_you_mean(name, names)));
}

int env_get(lua_State* L) {
  const auto name = check_string(L, 1);
  if (const std::string* value = find(L, name)) {
    push(L, *value);
  } else {
    lua_settop(L, 2);
  }
  return 1;
}

int env_has(lua_State* L) {
  lua_pushboolean(L, find(L, check_string(L, 1)) != nullptr ? 1 : 0);
  return 1;
}

int env_require(lua_State* L) {
  const auto name = check_string(L, 1);
  const std::string* value = find(L, name);
  if (value == nullptr) raise_missing(L, name);
  push(L, *value);
  return 1;
}

int env_all(lua_State* L) {
  const auto& environment = Vm::of(L).host().environment;
  lua_createtable(L, 0, static_cast<int>(environment.size()));
  for (const auto& [name, value] : environment) {
    push(L, name);
    push(L, value);
    lua_rawset(L, -3);
  }
  return 1;
}

// ${NAME} and ${NAME:-default}; $$ is a dollar. A variable that is not set and has no default raises, for a
// path with a hole in it is worse than an error.
int env_expand(lua_State* L) {
  const std::string_view text = check_string(L, 1);
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto dollar = std::min(text.find('$', at), text.size());
    result += text.substr(at, dollar - at);
    const std::string_view rest = text.substr(dollar);
    if (rest.starts_with("$$")) {
      result += '$';
      at = dollar + 2;
    } else if (rest.starts_with("${")) {
      const auto end = rest.find('}');
      if (end == std::string_view::npos) raise(L, fmt::format("\"${{\" without \"}}\" in \"{}\"", text));
      const std::string_view inside = rest.substr(2, end - 2);
      const auto split = inside.find(":-");
      const std::string_view name = inside.substr(0, split);
      const std::string* value = find(L, name);
      const bool has_default = split != std::string_view::npos;
      if (value == nullptr && !has_default) raise_missing(L, name);
      if (value != nullptr && !(has_default && value->empty())) {
        result += *value;
      } else if (has_default) {
        result += inside.substr(split + 2);
      }
      at = dollar + end + 1;
    } else {
      result += rest.substr(0, 1);
      at = dollar + (rest.empty() ? 0 : 1);
    }
  }
  push(L, result);
  return 1;
}

int env_refuse(lua_State* L) {
  const std::string name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "NAME";
  raise(L, fmt::format(
               "the environment of a task cannot be changed while it runs: set {} in the task's own env, or "
               "for one command with exec.run(cmd, {{ env = {{ {} = ... }} }})",
               name, name));
}

}  // namespace

Module env_module() {
  return Module{.name = "env",
                .natives = {{"get", native<env_get>},
                            {"has", native<env_has>},
                            {"require", native<env_require>},
                            {"all", native<env_all>},
                            {"expand", native<env_expand>},
                            {"refuse", native<env_refuse>}},
                .lua = embedded::modules_env,
                .stub = embedded::modules_env_meta};
}

}  // namespace sloth
