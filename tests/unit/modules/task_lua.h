// TaskLua: a VM with exec, fs, env, io and goroutine in a working directory of its own, and what a test of
// these modules asks again and again.
//
// Not shared: one thread at a time.
#pragma once

#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "modules/env.h"
#include "modules/exec.h"
#include "modules/fs.h"
#include "modules/goroutine.h"
#include "modules/standard.h"
#include "runner/os/file_tree.h"
#include "runner/os/process_tree.h"
#include "tests/support/lua_fixture.h"
#include "tests/support/stub_examples.h"

namespace sloth::testing {

class FreshDirectory {
 public:
  FreshDirectory() : path_(*make_temp_directory("sloth-modules-test-")) {}
  ~FreshDirectory() { static_cast<void>(remove_path(path_, true).ok()); }
  FreshDirectory(const FreshDirectory&) = delete;
  FreshDirectory& operator=(const FreshDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TaskLua : private FreshDirectory, public LuaFixture {
 public:
  TaskLua()
      : LuaFixture(options_in(path()), [](Executor&) {
          return std::vector<Module>{exec_module(), fs_module(), env_module(), standard_module(),
                                     goroutine_module()};
        }) {
    std::signal(SIGPIPE, SIG_IGN);  // as the program's own start does
    static int count = 0;
    host.attempt = "modules-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
  }
  ~TaskLua() { kill_tree(0, host.attempt); }

  [[nodiscard]] const std::string& directory() const { return path(); }
  [[nodiscard]] std::vector<ProcessInfo> processes() const { return tree_of(0, host.attempt); }

 private:
  static Options options_in(const std::string& directory) {
    Options options;
    options.workdir = directory;
    return options;
  }
};

inline void check_examples(const Module& module) {
  const auto examples = stub_examples(module.stub);
  REQUIRE_FALSE(examples.empty());
  for (const StubExample& example : examples) {
    CAPTURE(example.line);
    TaskLua lua;
    CHECK(lua.run(example.text).text().empty());
  }
}

}  // namespace sloth::testing
