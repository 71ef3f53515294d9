#include "modules/exec.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>

#include "modules/command_request.h"
#include "runner/lua/stack.h"
#include "runner/lua/vm.h"

namespace sloth {

namespace embedded {
extern const std::string_view modules_exec;
extern const std::string_view modules_exec_meta;
}  // namespace embedded

namespace {

const char kResult[] = "sloth.exec.result";

std::string_view without_newlines(std::string_view text) {
  const auto last = text.find_last_not_of("\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

std::string_view last_line(std::string_view text) {
  text = without_newlines(text);
  const auto newline = text.rfind('\n');
  return newline == std::string_view::npos ? text : text.substr(newline + 1);
}

void set_text(lua_State* L, const char* name, std::string_view text) {
  push(L, text);
  lua_setfield(L, -2, name);
}

void set_boolean(lua_State* L, const char* name, bool value) {
  lua_pushboolean(L, value ? 1 : 0);
  lua_setfield(L, -2, name);
}

void set_number(lua_State* L, const char* name, double number) {
  lua_pushnumber(L, number);
  lua_setfield(L, -2, name);
}

// The result; after a failure also what went wrong, and true, for `local out, err, failed = exec.run(...)`.
int push_result(lua_State* L, const RunningCommand::Finish& finish) {
  constexpr int kFields = 8;
  const ExitStatus& status = finish.end.status;
  const bool success = succeeded(finish);
  lua_createtable(L, 0, kFields);
  set_text(L, "stdout", finish.out);
  set_text(L, "stderr", finish.err);
  set_number(L, "exit_code", exit_code_of(finish));
  set_boolean(L, "success", success);
  set_boolean(L, "timed_out", finish.end.timed_out);
  set_number(L, "duration_ms", std::chrono::duration<double, std::milli>(finish.end.took).count());
  if (status.signal != 0) set_text(L, "signal", signal_name(status.signal));
  if (finish.truncated) set_boolean(L, "truncated", true);
  luaL_getmetatable(L, kResult);
  lua_setmetatable(L, -2);
  if (success) return 1;
  const std::string_view said = without_newlines(finish.err);
  push(L, said.empty() ? reason_of(finish) : said);
  lua_pushboolean(L, 1);
  return 3;
}

std::string failure_of(const std::string& command, const RunningCommand::Finish& finish) {
  const std::string_view said = last_line(finish.err);
  return fmt::format("command failed ({}): {}{}{}", reason_of(finish), command, said.empty() ? "" : ": ",
                     said);
}

int run(lua_State* L, const char* call, bool always_shell) {
  CommandRequest request = check_command(L, 1, call, always_shell);
  Host& host = Vm::of(L).host();
  auto at_finish = [&host, stream = request.options.stream, check = request.check,
                    shown = request.options.shown](const Waker& waker, RunningCommand::Finish finish) {
    if (finish.not_started && stream) host.write(OutputStream::kStderr, finish.err);
    if (check && !succeeded(finish)) return waker.fail(failure_of(shown, finish));
    const auto result = std::make_shared<RunningCommand::Finish>(std::move(finish));
    waker.resolve([result](lua_State* state) { return push_result(state, *result); });
  };
  return run_command(L, call, std::move(request), std::move(at_finish));
}

int exec_run(lua_State* L) { return run(L, "exec.run", false); }
int exec_command(lua_State* L) { return run(L, "exec.command", false); }
int exec_sh(lua_State* L) { return run(L, "exec.sh", true); }

// The metatable of results, made by exec.lua, which can better say what a string does.
int result_metatable(lua_State* L) {
  lua_settop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, kResult);
  return 0;
}

}  // namespace

Module exec_module() {
  return Module{.name = "exec",
                .natives = {{"run", native<exec_run>, true},
                            {"command", native<exec_command>, true},
                            {"sh", native<exec_sh>, true},
                            {"result_metatable", native<result_metatable>}},
                .lua = embedded::modules_exec,
                .stub = embedded::modules_exec_meta};
}

}  // namespace sloth
