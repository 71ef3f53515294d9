#include "runner/dsl/shared_variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sloth {
namespace {

std::string dump_of_top(lua_State* L) {
  std::string bytes;
  const auto append = [](lua_State*, const void* data, std::size_t size, void* to) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
    return 0;
  };
  return lua_dump(L, append, &bytes) == 0 ? bytes : "";
}

}  // namespace

SharedVariables::SharedVariables(Vm& vm) : vm_(vm), captured_(vm.chunks()) {}

// Code that ran hot may have been patched and is not found: no warning then.
SharedVariables::Located SharedVariables::locate(const char* source, const std::string& dump) const {
  for (const auto& chunk : vm_.texts()) {
    if (chunk->name != source) continue;
    if (const std::int64_t found = chunk->find(dump); found >= 0) {
      return {chunk.get(), static_cast<std::uint32_t>(found)};
    }
  }
  return {};
}

SharedVariables::Variable& SharedVariables::variable(const std::string& key, const std::string& name) {
  const auto [found, is_new] = index_.emplace(key, variables_.size());
  if (is_new) variables_.push_back({name, {}, {}});
  return variables_[found->second];
}

void SharedVariables::note(std::vector<Use>& uses, Use use) {
  const auto same_vm = [&](const Use& other) { return other.vm == use.vm; };
  if (uses.size() < 2 && std::none_of(uses.begin(), uses.end(), same_vm)) uses.push_back(std::move(use));
}

void SharedVariables::add(lua_State* L, int index, int vm, const std::string& who) {
  if (lua_iscfunction(L, index)) return;
  lua_Debug info;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &info);
  lua_pushvalue(L, index);
  const Located located = locate(info.source, dump_of_top(L));
  if (located.chunk != nullptr) {
    const auto use = [&](int line) { return Use{vm, who, fmt::format("{}:{}", info.source + 1, line)}; };
    const std::vector<CapturedUse>& uses = captured_.of(*located.chunk, located.prototype);
    for (std::size_t i = 0; i < uses.size(); ++i) {
      const int number = static_cast<int>(i) + 1;
      const char* const name = lua_getupvalue(L, -1, number);
      if (name == nullptr) break;
      lua_pop(L, 1);
      Variable& captured = variable(fmt::format("{}", lua_upvalueid(L, -1, number)), name);
      if (uses[i].read_line > 0) note(captured.reads, use(uses[i].read_line));
      if (uses[i].assigned_line > 0) note(captured.assignments, use(uses[i].assigned_line));
    }
    // Where in the function a global is used is not recorded: the function's own line is.
    const Prototype& code = located.chunk->prototypes[located.prototype];
    for (const std::string& name : code.globals_read)
      note(variable("_G." + name, name).reads, use(info.linedefined));
    for (const std::string& name : code.globals_written) {
      note(variable("_G." + name, name).assignments, use(info.linedefined));
    }
  }
  lua_pop(L, 1);
}

std::vector<std::string> SharedVariables::warnings() const {
  std::vector<std::string> warnings;
  for (const Variable& variable : variables_) {
    for (const Use& assignment : variable.assignments) {
      const auto reader = std::find_if(variable.reads.begin(), variable.reads.end(),
                                       [&](const Use& read) { return read.vm != assignment.vm; });
      if (reader == variable.reads.end()) continue;
      warnings.push_back(
          fmt::format("{}: {} assigns \"{}\", which {} reads ({}): it will not see that, as each task has "
                      "variables of its own; "
                      "return the value as an output instead",
                      assignment.place, assignment.who, variable.name, reader->who, reader->place));
      break;
    }
  }
  return warnings;
}

}  // namespace sloth
