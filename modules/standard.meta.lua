---@meta io
---print, io and os, where they differ from Lua 5.1 because tasks share one process: output goes to the task's
---output, relative paths start at the task's directory, waiting parks only the calling goroutine.
---
---```lua
---local pipe = io.popen("printf '1\\n2\\n'")
---local sum = 0
---for line in pipe:lines() do sum = sum + tonumber(line) end
---local ok, how, code = pipe:close()
---assert(sum == 3 and ok == true and how == "exit" and code == 0)
---assert(os.execute("exit 3") == 3)
---```

---Writes to the task's output. `io.write`, `io.stdout` and `io.stderr` do too; closing them does nothing.
---@param ... any
function print(...) end

---Opens a file. Refuses directories, FIFOs, sockets and devices by kind (/dev/null, zero, full, random and urandom
---are allowed).
---@param name string
---@param mode string?
---@return file*?
---@return string? problem
function io.open(name, mode) end

---Lines of a file; without a name those of the task's input, which is empty.
---@param name string?
---@param ... string|number
---@return fun(): string?
function io.lines(name, ...) end

---A command as a file: "r" gives what it writes, as it comes; "w" runs it when the file is closed, with what was
---written as its input. `close` returns true (nil after a failure), "exit" or "signal", and the number.
---@param command string
---@param mode "r"|"w"?
---@return file*?
---@return string? problem
function io.popen(command, mode) end

---Runs a command as `exec.run` does and returns its exit code as a number, 0 for success. Without a command: 1.
---@param command string?
---@return number
function os.execute(command) end

---A variable of the task's environment.
---@param name string
---@return string?
function os.getenv(name) end

---Ends this task, and only it: 0 or true (the default) is success, everything else failure.
---@param code number|boolean?
function os.exit(code) end

---@param name string
---@return true?
---@return string? problem
function os.remove(name) end

---@param from string
---@param to string
---@return true?
---@return string? problem
function os.rename(from, to) end
