// CommandRequest: what a script asks to run, read from Lua and started for its goroutine.
//
// Strand-confined: call only on its strand. Only inside natives: wrong use raises with the user's position.
#pragma once

#include <lua.hpp>
#include <memory>
#include <string>

#include "modules/running_command.h"
#include "runner/base/result.h"

namespace sloth {

struct CommandRequest {
  RunningCommand::Options options;
  // When the command could not be started as it stands: let this shell say why, in its own words. "": no.
  std::string fallback_shell;
  std::string fallback_text;
  bool check = false;  // the caller wants failure raised
};

// The command at `arg`, a string (run by `sh -c`, or directly when that makes no difference) or a list of
// arguments, and its options at `arg + 1`. `call` ("exec.run") names the function in messages. Environment,
// directory and SLOTH_ATTEMPT are those of the VM's host.
CommandRequest check_command(lua_State* L, int arg, const char* call, bool always_shell);

// Starts it. kNotFound and its kin are for the caller to report as a shell would (not_started()); kInvalid
// and kUnavailable are for it to raise.
Result<std::shared_ptr<RunningCommand>> start_command(lua_State* L, CommandRequest request);

// For a native that waits: starts the command, and when it is over hands waker and finish to `at_finish`.
// What is wrong use fails the waker. Ends the command when the goroutine is cancelled or the VM closes.
using AtFinish = UniqueFunction<void(const Waker& waker, RunningCommand::Finish finish)>;
int run_command(lua_State* L, const char* call, CommandRequest request, AtFinish at_finish);

// Pushes a value that ends the command when the VM closes, or when nothing refers to it any more.
void push_command(lua_State* L, std::shared_ptr<RunningCommand> command);
std::shared_ptr<RunningCommand> command_at(lua_State* L, int arg);

// As a shell reports what it could not start: 127 and the message, or 126.
RunningCommand::Finish not_started(const Error& error);

[[nodiscard]] bool succeeded(const RunningCommand::Finish& finish);
// As a shell counts: 128 + signal; 124 when a timeout met a program that then ended with a polite 0.
int exit_code_of(const RunningCommand::Finish& finish);
// "exit code 3", "killed by SIGSEGV", "timed out after 2s".
std::string reason_of(const RunningCommand::Finish& finish);

}  // namespace sloth
