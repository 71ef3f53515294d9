#include "modules/command_request.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "modules/command_line.h"
#include "runner/base/duration.h"
#include "runner/base/value.h"
#include "runner/goroutine/scheduler.h"
#include "runner/lua/module.h"
#include "runner/lua/stack.h"
#include "runner/lua/vm.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

using Handle = std::shared_ptr<RunningCommand>;
using Environment = std::vector<std::pair<std::string, std::string>>;

const char kHandle[] = "sloth.command";
constexpr const char* kShell = "/bin/sh";
constexpr std::size_t kShown = 120;

[[noreturn]] void bad_command(lua_State* L, int arg, const char* call, const std::string& problem) {
  raise(L, fmt::format("bad argument #{} to '{}' ({})", arg, call, problem));
}

std::optional<Duration> duration_field(lua_State* L, int options, const char* name, bool zero_allowed) {
  if (!lua_istable(L, options)) return std::nullopt;
  lua_getfield(L, options, name);
  const int type = lua_type(L, -1);
  Result<Duration> duration = Error{};
  if (type == LUA_TNUMBER) {
    const double seconds = lua_tonumber(L, -1);
    duration =
        zero_allowed && seconds == 0 ? Result<Duration>(Duration::zero()) : duration_from_seconds(seconds);
  } else if (type == LUA_TSTRING) {
    duration = parse_duration(lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  if (type == LUA_TNIL) return std::nullopt;
  if (type != LUA_TNUMBER && type != LUA_TSTRING) {
    raise(L, fmt::format("bad option \"{}\" (seconds or a duration such as \"30s\" expected, got {})", name,
                         lua_typename(L, type)));
  }
  if (!duration) raise(L, fmt::format("bad option \"{}\": {}", name, duration.error().message));
  return *duration;
}

void set(Environment& environment, const std::string& name, std::string value) {
  const auto known =
      std::find_if(environment.begin(), environment.end(), [&](const auto& e) { return e.first == name; });
  if (known != environment.end()) {
    known->second = std::move(value);
  } else {
    environment.emplace_back(name, std::move(value));
  }
}

std::string text_at(lua_State* L, int index) {
  if (lua_type(L, index) == LUA_TNUMBER) return number_text(lua_tonumber(L, index));
  std::size_t size = 0;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

// The option `env`: texts and numbers are set, false takes a variable away.
void apply_environment(lua_State* L, int options, Environment& environment) {
  if (!lua_istable(L, options)) return;
  lua_getfield(L, options, "env");
  if (!lua_isnil(L, -1) && !lua_istable(L, -1)) {
    raise(L, fmt::format("bad option \"env\" (table expected, got {})", luaL_typename(L, -1)));
  }
  if (lua_istable(L, -1)) {
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING) {
        raise(L, fmt::format("bad option \"env\" (names are strings, found a {})", luaL_typename(L, -2)));
      }
      const std::string name = text_at(L, -2);
      const int type = lua_type(L, -1);
      if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        set(environment, name, text_at(L, -1));
      } else if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        std::erase_if(environment, [&](const auto& entry) { return entry.first == name; });
      } else {
        raise(L,
              fmt::format(
                  "bad option \"env\" (the value of \"{}\" is a {}; give a string, or false to take it away)",
                  name, lua_typename(L, type)));
      }
    }
  }
  lua_pop(L, 1);
}

std::vector<std::string> check_arguments(lua_State* L, int arg, const char* call) {
  std::vector<std::string> argv;
  const auto count = static_cast<int>(lua_objlen(L, arg));
  int entries = 0;
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) ++entries;
  if (count == 0 || entries != count) {
    bad_command(L, arg, call,
                count == 0 && entries == 0 ? "the list of arguments is empty"
                                           : "a list of arguments without holes expected");
  }
  for (int i = 1; i <= count; ++i) {
    lua_rawgeti(L, arg, i);
    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER) {
      bad_command(L, arg, call,
                  fmt::format("entry {} of the list is a {}, not a string", i, luaL_typename(L, -1)));
    }
    argv.push_back(text_at(L, -1));
    lua_pop(L, 1);
  }
  return argv;
}

std::vector<std::string> shell_line(const std::string& shell, const std::string& text) {
  // A text that starts like an option must not be taken for one.
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) return {shell, "-c", "--", text};
  return {shell, "-c", text};
}

// Whether sh could make something else of a plain word than what exec makes of it.
bool shell_may_differ(const Environment& environment) {
  bool has_path = false;
  for (const auto& [name, value] : environment) {
    if (name == "PATH") has_path = !value.empty();
    if (name.starts_with("BASH_FUNC_")) return true;
  }
  return !has_path;
}

std::string shown(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  return text;
}

// Each child has a name below its attempt's, so that one of several at work can be ended alone.
std::string tag_below(const std::string& attempt) {
  const auto ticks = std::chrono::steady_clock::now().time_since_epoch().count();
  return fmt::format("{}/{:x}", attempt.empty() ? std::to_string(::getpid()) : attempt, ticks);
}

void read_options(lua_State* L, int index, RunningCommand::Options& to) {
  if (const auto input = string_field(L, index, "stdin")) to.input = *input;
  if (const auto timeout = duration_field(L, index, "timeout", false)) to.timeout = *timeout;
  if (const auto grace = duration_field(L, index, "grace", true)) to.grace = to.cancel_grace = *grace;
  if (const auto stream = boolean_field(L, index, "stream")) to.stream = *stream;
  if (const auto combine = boolean_field(L, index, "combine")) to.spawn.merge_stderr = *combine;
  if (const auto most = number_field(L, index, "max_output")) {
    if (!(*most >= 0 && *most <= 1e12)) raise(L, "bad option \"max_output\" (a number of bytes expected)");
    to.capture_limit = static_cast<std::size_t>(*most);
  }
  to.spawn.pipe_stdin = !to.input.empty();
}

int collect(lua_State* L) {
  auto* const handle = static_cast<Handle*>(lua_touserdata(L, 1));
  if (*handle != nullptr) (*handle)->abandon();
  std::destroy_at(handle);
  return 0;
}

Handle& new_handle(lua_State* L) {
  auto* const handle = new (lua_newuserdata(L, sizeof(Handle))) Handle();
  if (luaL_newmetatable(L, kHandle) != 0) {
    lua_pushcfunction(L, native<collect>);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
  return *handle;
}

void forget(lua_State* main, Handle* handle) {
  *handle = nullptr;
  lua_pushlightuserdata(main, handle);
  lua_pushnil(main);
  lua_rawset(main, LUA_REGISTRYINDEX);
}

}  // namespace

CommandRequest check_command(lua_State* L, int arg, const char* call, bool always_shell) {
  if (!lua_isnoneornil(L, arg + 1) && !lua_istable(L, arg + 1)) {
    bad_command(L, arg + 1, call,
                fmt::format("table of options expected, got {}", luaL_typename(L, arg + 1)));
  }
  check_options(
      L, arg + 1,
      {"workdir", "env", "stdin", "timeout", "grace", "stream", "check", "combine", "shell", "max_output"});

  const Host& host = Vm::of(L).host();
  CommandRequest request;
  SpawnOptions& spawn = request.options.spawn;
  read_options(L, arg + 1, request.options);
  request.check = boolean_field(L, arg + 1, "check").value_or(false);
  spawn.directory = join_path(host.workdir, string_field(L, arg + 1, "workdir").value_or("."));
  spawn.environment = host.environment;
  // What a shell would do; a program that is started without one must not see our own.
  set(spawn.environment, "PWD", spawn.directory);
  apply_environment(L, arg + 1, spawn.environment);
  spawn.attempt = tag_below(host.attempt);
  const auto shell = string_field(L, arg + 1, "shell");

  if (lua_istable(L, arg) && !always_shell) {
    if (shell) raise(L, "the option \"shell\" needs the command as one string, not as a list");
    spawn.argv = check_arguments(L, arg, call);
    request.options.shown = shown(fmt::format("{}", fmt::join(spawn.argv, " ")));
    return request;
  }
  if (lua_type(L, arg) != LUA_TSTRING) {
    bad_command(L, arg, call,
                fmt::format("{} expected, got {}", always_shell ? "string" : "string or list of arguments",
                            luaL_typename(L, arg)));
  }
  const std::string text = text_at(L, arg);
  request.options.shown = shown(text);
  auto words =
      always_shell || shell || shell_may_differ(spawn.environment) ? std::nullopt : simple_command(text);
  if (words) {
    spawn.argv = std::move(*words);
    request.fallback_shell = kShell;
    request.fallback_text = text;
  } else {
    spawn.argv = shell_line(shell.value_or(kShell), text);
  }
  return request;
}

Result<std::shared_ptr<RunningCommand>> start_command(lua_State* L, CommandRequest request) {
  const Strand& strand = Scheduler::of(L).strand();
  Host& host = Vm::of(L).host();
  auto started = RunningCommand::start(strand, host, request.options);
  if (!started && started.error().code != Code::kLimit && !request.fallback_shell.empty()) {
    request.options.spawn.argv = shell_line(request.fallback_shell, request.fallback_text);
    started = RunningCommand::start(strand, host, std::move(request.options));
  }
  return started;
}

void push_command(lua_State* L, std::shared_ptr<RunningCommand> command) {
  new_handle(L) = std::move(command);
}

std::shared_ptr<RunningCommand> command_at(lua_State* L, int arg) {
  return *static_cast<Handle*>(luaL_checkudata(L, arg, kHandle));
}

int run_command(lua_State* L, const char* call, CommandRequest request, AtFinish at_finish) {
  // The registry holds it while the goroutine waits: when the VM closes meanwhile, its collection ends the
  // child.
  Handle* const handle = &new_handle(L);
  lua_pushlightuserdata(L, handle);
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_State* const main = Vm::of(L).state();
  const auto started = std::make_shared<Handle>();
  return Scheduler::of(L).suspend(
      L, call,
      [&](Waker waker) {
        auto command = start_command(L, std::move(request));
        if (!command) {
          forget(main, handle);
          const Code code = command.error().code;
          if (code == Code::kInvalid || code == Code::kUnavailable)
            return waker.fail(command.error().message);
          return at_finish(waker, not_started(command.error()));
        }
        *handle = *started = *command;
        (*command)->wait([main, handle, waker, at_finish = std::move(at_finish)](const auto& self) mutable {
          forget(main, handle);
          at_finish(waker, self->take_finish());
        });
      },
      [started] {
        if (*started != nullptr) (*started)->cancel();
      });
}

RunningCommand::Finish not_started(const Error& error) {
  RunningCommand::Finish finish;
  finish.end.status.code = error.code == Code::kNotFound ? 127 : 126;
  finish.err = error.message + "\n";
  finish.not_started = true;
  return finish;
}

bool succeeded(const RunningCommand::Finish& finish) {
  return finish.end.status.code == 0 && !finish.end.timed_out && !finish.end.cancelled;
}

int exit_code_of(const RunningCommand::Finish& finish) {
  constexpr int kTimedOut = 124;
  const int code = finish.end.status.code;
  return code == 0 && !succeeded(finish) ? kTimedOut : code;
}

std::string reason_of(const RunningCommand::Finish& finish) {
  if (finish.end.timed_out) return fmt::format("timed out after {}", format_duration(finish.end.took));
  if (finish.end.status.signal != 0)
    return fmt::format("killed by {}", signal_name(finish.end.status.signal));
  return fmt::format("exit code {}", finish.end.status.code);
}

}  // namespace sloth
