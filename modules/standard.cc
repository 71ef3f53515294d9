#include "modules/standard.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "modules/command_request.h"
#include "runner/goroutine/scheduler.h"
#include "runner/lua/stack.h"
#include "runner/lua/vm.h"
#include "runner/os/file_tree.h"

namespace sloth {

namespace embedded {
extern const std::string_view modules_standard;
extern const std::string_view modules_standard_meta;
}  // namespace embedded

namespace {

int write_to(lua_State* L, OutputStream stream) {
  if (const auto text = check_string(L, 1); !text.empty()) Vm::of(L).host().write(stream, text);
  return 0;
}

int write_stdout(lua_State* L) { return write_to(L, OutputStream::kStdout); }
int write_stderr(lua_State* L) { return write_to(L, OutputStream::kStderr); }

int getenv_of_task(lua_State* L) {
  const auto name = check_string(L, 1);
  for (const auto& [known, value] : Vm::of(L).host().environment) {
    if (known != name) continue;
    push(L, value);
    return 1;
  }
  lua_pushnil(L);
  return 1;
}

int resolve(lua_State* L) {
  push(L, join_path(Vm::of(L).host().workdir, check_string(L, 1)));
  return 1;
}

// /dev/null, zero, full, random, urandom: devices that never make anybody wait.
bool is_harmless(const struct stat& info) {
  constexpr unsigned kMemoryDevices = 1;
  const unsigned device = minor(info.st_rdev);
  return S_ISCHR(info.st_mode) && major(info.st_rdev) == kMemoryDevices &&
         (device == 3 || device == 5 || (device >= 7 && device <= 9));
}

// The path to open, or nil and why not, by kind: opening a FIFO would stop every goroutine of the task.
int openable(lua_State* L) {
  const std::string path = join_path(Vm::of(L).host().workdir, check_string(L, 1));
  struct stat info {};
  const char* kind = nullptr;
  if (path.find('\0') == std::string::npos && ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) &&
      !is_harmless(info)) {
    kind = S_ISDIR(info.st_mode)    ? "a directory"
           : S_ISFIFO(info.st_mode) ? "a FIFO"
           : S_ISSOCK(info.st_mode) ? "a socket"
                                    : "a device";
  }
  if (kind != nullptr) return fail(L, fmt::format("{}: is {}, not a file", path, kind));
  push(L, path);
  return 1;
}

int execute(lua_State* L) {
  CommandRequest request = check_command(L, 1, "os.execute", false);
  request.options.capture = false;
  Host& host = Vm::of(L).host();
  return run_command(L, "os.execute", std::move(request),
                     [&host](const Waker& waker, const RunningCommand::Finish& finish) {
                       if (finish.not_started) host.write(OutputStream::kStderr, finish.err);
                       waker.resolve(Value::List{exit_code_of(finish)});
                     });
}

// A command whose stdout is read piece by piece. A failed start reads as no output and its code.
int popen_read(lua_State* L) {
  CommandRequest request = check_command(L, 1, "io.popen", false);
  request.options.capture = false;
  request.options.pull = true;
  auto started = start_command(L, std::move(request));
  if (!started) return fail(L, started.error().message);
  push_command(L, std::move(*started));
  return 1;
}

int popen_pull(lua_State* L) {
  const auto command = command_at(L, 1);
  return Scheduler::of(L).suspend(
      L, "io.popen read", [&](Waker waker) { command->pull(std::move(waker)); },
      [command] { command->cancel(); });
}

Value::List ending(const RunningCommand::Finish& finish) {
  const int signal = finish.end.status.signal;
  return Value::List{succeeded(finish) ? Value(true) : Value(), signal != 0 ? "signal" : "exit",
                     signal != 0 ? signal : exit_code_of(finish)};
}

int popen_close(lua_State* L) {
  const auto command = command_at(L, 1);
  return Scheduler::of(L).suspend(
      L, "io.popen close",
      [&](Waker waker) {
        command->close_stdout();
        command->wait([waker](const auto& self) { waker.resolve(ending(self->take_finish())); });
      },
      [command] { command->cancel(); });
}

// For io.popen(command, "w"): runs it with what was written as its input.
int popen_feed(lua_State* L) {
  CommandRequest request = check_command(L, 1, "io.popen", false);
  request.options.capture = false;
  Host& host = Vm::of(L).host();
  return run_command(L, "io.popen close", std::move(request),
                     [&host](const Waker& waker, const RunningCommand::Finish& finish) {
                       if (finish.not_started) host.write(OutputStream::kStderr, finish.err);
                       waker.resolve(ending(finish));
                     });
}

}  // namespace

Module standard_module() {
  return Module{.name = "io",
                .natives = {{"write_stdout", native<write_stdout>},
                            {"write_stderr", native<write_stderr>},
                            {"getenv", native<getenv_of_task>},
                            {"resolve", native<resolve>},
                            {"openable", native<openable>},
                            {"execute", native<execute>, true},
                            {"popen_read", native<popen_read>},
                            {"popen_pull", native<popen_pull>, true},
                            {"popen_close", native<popen_close>, true},
                            {"popen_feed", native<popen_feed>, true}},
                .lua = embedded::modules_standard,
                .eager = true,
                .stub = embedded::modules_standard_meta};
}

}  // namespace sloth
