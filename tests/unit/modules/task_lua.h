// TaskLua: a VM with exec, fs, env, io and goroutine in a working directory of its own, and what a test of
// these modules asks again and again.
//
// Not shared: one thread at a time.
#pragma once

#include <csignal>
#include <string>
#include <string_view>
#include <vector>

#include "modules/env.h"
#include "modules/exec.h"
#include "modules/fs.h"
#include "modules/goroutine.h"
#include "modules/standard.h"
#include "runner/os/file_tree.h"
#include "runner/os/process_tree.h"
#include "tests/support/lua_fixture.h"

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

// The ```lua blocks of a module's description.
inline std::vector<std::string> examples_of(std::string_view stub) {
  std::vector<std::string> blocks;
  bool inside = false;
  while (!stub.empty()) {
    const auto end = std::min(stub.find('\n'), stub.size());
    std::string_view line = stub.substr(0, end);
    stub.remove_prefix(std::min(end + 1, stub.size()));
    if (!line.starts_with("---")) {
      inside = false;
      continue;
    }
    line.remove_prefix(3);
    if (line.starts_with("```")) {
      inside = line == "```lua";
      if (inside) blocks.emplace_back();
    } else if (inside) {
      blocks.back().append(line).append(1, '\n');
    }
  }
  return blocks;
}

inline void check_examples(const Module& module) {
  const auto blocks = examples_of(module.stub);
  REQUIRE_FALSE(blocks.empty());
  for (const std::string& block : blocks) {
    CAPTURE(block);
    TaskLua lua;
    const auto ran = lua.run(block);
    CHECK(ran.text().empty());
  }
}

}  // namespace sloth::testing
