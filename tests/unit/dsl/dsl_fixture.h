// DslFixture: a plan VM with the task language, for loading task files from strings.
//
// Not shared: one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runner/dsl/dsl.h"
#include "runner/lua/stack.h"

namespace sloth {

class DslFixture {
 public:
  DslFixture() {
    host_.workdir = "/";
    host_.file_directory = "/";
    host_.write = [](OutputStream, std::string_view) {};
    host_.log = [](Severity, std::string_view, const Value&) {};
    vm_ = Vm::open({.host = &host_, .chunks = &chunks_});
    // Names that files use; nothing here runs a task.
    for (const char* const name : {"goroutine", "log", "http"})
      vm_->install({.name = name, .natives = {{"call", nothing}}});
    dsl_ = std::make_unique<Dsl>(*vm_);
    vm_->seal();
  }

  [[nodiscard]] Host& host() { return host_; }
  [[nodiscard]] lua_State* state() const { return vm_->state(); }
  [[nodiscard]] Dsl& dsl() const { return *dsl_; }

  // The file is run, then finished.
  Result<Workflow> load(std::string_view text, const std::string& file = "tasks.lua") {
    lua_State* L = state();
    if (auto pushed = dsl_->push_loader(L, file, text); !pushed) return pushed.error();
    if (auto ran = call(0, 0); !ran) return ran.error();
    const int top = lua_gettop(L);
    auto workflow = dsl_->finish(L, file, "/project");
    return lua_gettop(L) == top ? std::move(workflow)
                                : Result<Workflow>(Error{Code::kIo, "finish() leaves values"});
  }

  // The workflow of a text that must load; an empty one, with the problems as its only warning, when it does
  // not.
  Workflow loaded(std::string_view text) {
    auto workflow = load(text);
    if (workflow) return std::move(*workflow);
    Workflow empty;
    empty.warnings = {"DOES NOT LOAD: " + workflow.error().message};
    return empty;
  }

  // What is wrong with the text; "" when nothing is.
  std::string problems(std::string_view text) {
    const auto workflow = load(text);
    return workflow ? "" : workflow.error().message;
  }

  // The first string that a function kept in the plan VM returns.
  std::string call(PlanFunction function) {
    dsl_->push_plan_function(state(), function);
    if (auto ran = call(0, 1); !ran) return ran.error().message;
    const char* text = lua_tostring(state(), -1);
    std::string result = text != nullptr ? text : "";
    lua_pop(state(), 1);
    return result;
  }

 private:
  static int nothing(lua_State*) { return 0; }

  Result<void> call(int arguments, int results) {
    const Vm::Running running(*vm_);
    if (lua_pcall(state(), arguments, results, 0) == 0) return {};
    const char* text = lua_tostring(state(), -1);
    Error error{Code::kInvalid, text != nullptr ? text : "an error without a text"};
    lua_pop(state(), 1);
    return error;
  }

  Host host_;
  ChunkCache chunks_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<Dsl> dsl_;
};

// One load in a fresh VM.
inline std::string problems_of(std::string_view text) { return DslFixture().problems(text); }

}  // namespace sloth
