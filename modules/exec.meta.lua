---@meta exec
---Commands. The calling goroutine waits; others go on. The command sees the task's environment and working
---directory, its input is empty unless `stdin` is given, and its output goes to the task's output as it comes.
---
---```lua
---local r = exec.run("printf 'a\\nb\\n'", { stream = false })
---assert(r.success and r.exit_code == 0)
---assert(r.stdout == "a\nb\n")
---```
---
---A result can be used as the text of its stdout, and a failure gives two more values:
---
---```lua
---local out, err, failed = exec.run("ls no-such-file", { stream = false })
---assert(failed and err:find("no%-such%-file"))
---local name = exec.run("echo sloth", { stream = false })
---assert("hello " .. name:match("%w+") == "hello sloth")
---```
---@class exec
exec = {}

---@class exec.Result
---@field stdout string at most `max_output` bytes
---@field stderr string
---@field exit_code number 128 + n when killed by signal n; 127 command not found, 126 not to be started
---@field success boolean exit code 0 and no timeout
---@field signal string? "SIGSEGV": what killed it
---@field timed_out boolean
---@field duration_ms number
---@field truncated boolean? true when `max_output` cut stdout or stderr

---@class exec.Options
---@field workdir string? relative to the task's directory
---@field env table<string, string|number|false>? added to the environment; false takes a variable away
---@field stdin string? what the command reads; without it the input is empty
---@field timeout number|string? seconds or "1m30s"; then the command and all it started are ended
---@field grace number|string? between the polite SIGTERM and SIGKILL; 10 s after a timeout, 2 s after a cancel
---@field stream boolean? false: its output does not go to the task's output
---@field check boolean? true: failure is raised as an error
---@field combine boolean? true: stderr joins stdout in the order written
---@field shell string? the shell for a command given as one string, such as "bash"; default "/bin/sh"
---@field max_output number? bytes kept of each stream, default 64 MiB; streaming is never cut

---Runs a command: one string as `sh -c` runs it, or a list of arguments that no shell touches. A command that
---fails, or is not found, is a result, not an error (see `check`). After a failure also returns what was wrong
---(stderr, or "exit code 3") and true.
---
---A process that the command leaves behind and that holds its output (a daemon) is left alone: two seconds after
---the command ended its output is not read any more, and a warning names it.
---
---```lua
---local r = exec.run({ "printf", "%s", "no $shell here" }, { stream = false })
---assert(r.stdout == "no $shell here")
---assert(exec.run("cat", { stdin = "text", stream = false }).stdout == "text")
---assert(exec.run("sleep 60", { timeout = 0.1 }).timed_out)
---assert(exec.run("echo $GREETING", { env = { GREETING = "hi" }, stream = false }).stdout == "hi\n")
---local ok, problem = pcall(exec.run, "exit 3", { check = true })
---assert(not ok and problem:find("exit code 3"))
---```
---@param command string|string[]
---@param options exec.Options?
---@return exec.Result result
---@return string? problem
---@return boolean? failed
function exec.run(command, options) end

---The same as `exec.run`.
---@param command string|string[]
---@param options exec.Options?
---@return exec.Result result
---@return string? problem
---@return boolean? failed
function exec.command(command, options) end

---Runs a script of one or more lines, always in the shell. Returns what `exec.run` returns.
---
---```lua
---local r = exec.sh([[
---  for n in 1 2 3; do
---    echo "line $n"
---  done
---]], { stream = false })
---assert(r.stdout == "line 1\nline 2\nline 3\n")
---```
---@param script string
---@param options exec.Options?
---@return exec.Result result
---@return string? problem
---@return boolean? failed
function exec.sh(script, options) end
