// LuaFixture: an executor, one VM with a scheduler, and the output of what runs in it.
//
// Not shared: one thread at a time.
//
//   LuaFixture lua;
//   CHECK(lua.run("return 1 + 1").text() == "2");
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/json.h"
#include "runner/exec/executor.h"
#include "runner/exec/strand.h"
#include "runner/goroutine/scheduler.h"
#include "runner/lua/value_codec.h"
#include "runner/lua/vm.h"

namespace sloth::testing {

class LuaFixture {
 public:
  struct Options {
    int workers = 2;
    std::size_t memory_limit = std::size_t{1} << 30;
    std::size_t goroutine_limit = 1'000'000;
    bool jit = true;
    std::string workdir = "/";
  };

  struct Ran {
    RootOutcome outcome;
    Value::List results;  // when it returned
    bool ok() const { return outcome.kind == RootOutcome::Kind::kReturned; }
    const std::string& error() const { return outcome.failure.message; }
    // Results as JSON, separated by spaces: `true "x"`.
    std::string text() const {
      std::string joined = ok() ? "" : "error: " + error();
      for (const Value& value : results) joined += (joined.empty() ? "" : " ") + to_json(value);
      return joined;
    }
  };

  // `modules` are made once the executor exists.
  using MakeModules = std::function<std::vector<Module>(Executor&)>;
  explicit LuaFixture(MakeModules modules = {}) : LuaFixture(Options{}, std::move(modules)) {}
  explicit LuaFixture(Options options, MakeModules modules = {})
      : executor_({.workers = options.workers}), strand_(executor_) {
    host.workdir = host.file_directory = options.workdir;
    host.attempt = "test";
    host.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}};
    host.write = [this](OutputStream stream, std::string_view bytes) {
      (stream == OutputStream::kStdout ? out : err) += bytes;
    };
    host.log = [this](Severity severity, std::string_view text, const Value&) {
      log += std::string(severity_name(severity)) + ": " + std::string(text) + "\n";
    };
    vm_ = Vm::open({.host = &host,
                    .chunks = &chunks_,
                    .interrupter = &interrupter(),
                    .memory_limit = options.memory_limit,
                    .jit = options.jit});
    scheduler_ = std::make_unique<Scheduler>(
        *vm_, strand_, Scheduler::Options{.goroutine_limit = options.goroutine_limit, .clock = &clock_});
    if (modules) {
      for (const Module& module : modules(executor_)) vm_->install(module);
    }
    vm_->seal();
  }

  ~LuaFixture() {
    // On the strand, after everything posted before.
    on_strand([this] {
      scheduler_.reset();
      vm_.reset();
    });
    executor_.stop();
  }

  // Runs `text` (as file test.lua) as a root goroutine to its end. Fails the test after 60 s.
  Ran run(const std::string& text, Duration timeout = {}) {
    auto ended = std::make_shared<std::promise<Ran>>();
    auto future = ended->get_future();
    strand_.post([this, text, timeout, ended] {
      lua_State* L = vm_->state();
      auto loaded = vm_->load(L, "@test.lua", text);
      if (!loaded) {
        Ran ran;
        ran.outcome.kind = RootOutcome::Kind::kRaised;
        ran.outcome.failure.message = loaded.error().message;
        ended->set_value(std::move(ran));
        return;
      }
      last_root = scheduler_->start_root(
          {.name = "test", .timeout = timeout},
          [L](lua_State* to) {
            lua_xmove(L, to, 1);
            return 0;
          },
          [ended](RootOutcome outcome, lua_State* from, int results) {
            Ran ran;
            ran.outcome = std::move(outcome);
            for (int i = 0; ran.ok() && i < results; ++i) {
              auto value = to_value(from, lua_gettop(from) - results + 1 + i, "result");
              ran.results.push_back(value ? *value : Value("<" + value.error().message + ">"));
            }
            ended->set_value(std::move(ran));
          });
    });
    if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      std::fprintf(stderr, "hung:\n%s\n", text.c_str());
      std::abort();
    }
    return future.get();
  }

  // Runs a job on the strand and waits for it.
  void on_strand(std::function<void()> job) {
    std::promise<void> done;
    strand_.post([&] {
      job();
      done.set_value();
    });
    done.get_future().wait();
  }

  Executor& executor() { return executor_; }
  Scheduler& scheduler() { return *scheduler_; }
  Vm& vm() { return *vm_; }

  Host host;
  std::string out, err, log;
  std::atomic<Scheduler::RootId> last_root{0};

 private:
  static Interrupter& interrupter() {
    static Interrupter instance;  // one per process, as the VM's profiler is
    return instance;
  }

  SystemClock clock_;
  Executor executor_;
  Strand strand_;
  ChunkCache chunks_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace sloth::testing
