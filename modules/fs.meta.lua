---@meta fs
---Files and directories. Relative paths start at the task's directory. Only the calling goroutine waits. What
---the machine refuses is returned as nil and a message; wrong arguments raise.
---
---```lua
---local dir = assert(fs.tmpdir())
---local path = fs.join(dir, "notes.txt")
---assert(fs.write(path, "one\n"))
---assert(fs.append(path, "two\n"))
---assert(fs.read(path) == "one\ntwo\n" and fs.size(path) == 8)
---assert(fs.ls(dir)[1] == "notes.txt" and fs.basename(path) == "notes.txt" and fs.dirname(path) == dir)
---assert(fs.rm_r(dir) and not fs.exists(dir))
---local text, problem = fs.read(path)
---assert(text == nil and problem:find("notes.txt"))
---```
---@class fs
fs = {}

---The whole content. Refuses what is no regular file (directories, FIFOs, devices) and what is larger than `limit`
---bytes (default 256 MiB).
---@param path string
---@param options {limit: number?}?
---@return string? content
---@return string? problem
function fs.read(path, options) end

---Replaces the content in one step: a reader sees the old or the new one, never half.
---@param path string
---@param content string
---@return true?
---@return string? problem
function fs.write(path, content) end

---@param path string
---@param content string
---@return true?
---@return string? problem
function fs.append(path, content) end

---True for anything that is there; a link counts as what it leads to.
---@param path string
---@return boolean
function fs.exists(path) end

---@param path string
---@return boolean
function fs.is_file(path) end

---@param path string
---@return boolean
function fs.is_dir(path) end

---Makes a directory with its parents; true also when it is there.
---@param path string
---@return true?
---@return string? problem
function fs.mkdir(path) end

---Removes a file, a link or an empty directory.
---@param path string
---@return true?
---@return string? problem
function fs.rm(path) end

---Removes a whole tree, never through links; true also when nothing is there. Refuses a directory that holds the
---task's own.
---@param path string
---@return true?
---@return string? problem
function fs.rm_r(path) end

---The same as `fs.rm_r`.
---@param path string
---@return true?
---@return string? problem
function fs.rmr(path) end

---Names in a directory (default: the task's), sorted.
---@param path string?
---@return string[]?
---@return string? problem
function fs.ls(path) end

---Paths that match a pattern of `*`, `?`, `[..]` and `**` (any depth), sorted. A relative pattern starts at `base`
---(default: the task's directory) and gives paths relative to it.
---@param pattern string
---@param base string?
---@return string[]?
---@return string? problem
function fs.glob(pattern, base) end

---Copies a file's content and mode.
---@param from string
---@param to string
---@return true?
---@return string? problem
function fs.copy(from, to) end

---@param from string
---@param to string
---@return true?
---@return string? problem
function fs.move(from, to) end

---The same as `fs.move`.
---@param from string
---@param to string
---@return true?
---@return string? problem
function fs.rename(from, to) end

---@param path string
---@return number? bytes
---@return string? problem
function fs.size(path) end

---`type` is "file", "directory", "link" (not followed) or "other", `mode` octal text, `mtime` seconds since 1970.
---@param path string
---@return {type: string, size: number, mode: string, mtime: number}?
---@return string? problem
function fs.stat(path) end

---Sets permissions, octal as in the shell: `fs.chmod("run.sh", "755")` (the number 755 means the same).
---@param path string
---@param mode string|number
---@return true?
---@return string? problem
function fs.chmod(path, mode) end

---Makes a fresh directory, readable by this user only, in the system's temporary directory.
---@param prefix string?
---@return string? path
---@return string? problem
function fs.tmpdir(prefix) end

---A path in the system's temporary directory where nothing was.
---@param prefix string?
---@return string? path
---@return string? problem
function fs.tmpname(prefix) end

---@param path string
---@return string
function fs.basename(path) end

---@param path string
---@return string
function fs.dirname(path) end

---Puts paths together; an absolute one starts anew.
---
---```lua
---assert(fs.join("a", "b/../c") == "a/c" and fs.join("a", "/b") == "/b")
---```
---@param first string
---@param ... string
---@return string
function fs.join(first, ...) end

---The absolute path, with `.` and `..` resolved as text.
---@param path string
---@return string
function fs.abs(path) end
