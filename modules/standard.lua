-- print, io and os for code in a task. The table that this chunk returns is `io` itself.
local natives = ...
local write_stdout, write_stderr = natives.write_stdout, natives.write_stderr
local openable, resolve, pull = natives.openable, natives.resolve, natives.popen_pull
local error, getmetatable, select, setmetatable, tonumber, tostring, type, unpack =
  error, getmetatable, select, setmetatable, tonumber, tostring, type, unpack
local concat, find, format, match, sub = table.concat, string.find, string.format, string.match, string.sub
local min = math.min
local raw_open, raw_type, raw_close, raw_remove, raw_rename = io.open, io.type, io.close, os.remove, os.rename

local function bad_argument(position, name, expected, value, level)
  error(format("bad argument #%d to '%s' (%s expected, got %s)", position, name, expected, type(value)), level or 3)
end

function print(...)
  local count = select("#", ...)
  local parts = { ... }
  for i = 1, count do parts[i] = tostring(parts[i]) end
  write_stdout(concat(parts, "\t", 1, count) .. "\n")
end

-- What write() takes: strings, numbers, and what says itself how it reads as text (the result of exec.run).
local function joined(...)
  local parts = { ... }
  for i = 1, select("#", ...) do
    local value = parts[i]
    local kind = type(value)
    if kind == "table" and getmetatable(value) and getmetatable(value).__tostring then
      parts[i] = tostring(value)
    elseif kind ~= "string" and kind ~= "number" then
      bad_argument(i, "write", "string", value, 4)
    end
  end
  return concat(parts)
end

-- stdin, stdout and stderr of the task.
local names = setmetatable({}, { __mode = "k" })
local puts = setmetatable({}, { __mode = "k" })

local Stream = {}
Stream.__index = Stream
Stream.__metatable = false
function Stream:__tostring() return "file (" .. names[self] .. ")" end

function Stream:write(...)
  local put = puts[self]
  if not put then return nil, "stdin cannot be written to" end
  put(joined(...))
  return self
end

function Stream:read(what)
  if puts[self] then return nil, names[self] .. " cannot be read from" end
  return (what == "*a" or what == "a") and "" or nil
end

function Stream:lines() return function() return self:read("*l") end end
function Stream:seek() return nil, names[self] .. " cannot be positioned" end
function Stream:flush() return self end
function Stream:setvbuf() return true end
function Stream:close() return true end

local function stream(name, put)
  local self = setmetatable({}, Stream)
  names[self], puts[self] = name, put
  return self
end

io.stdin, io.stdout, io.stderr = stream("stdin"), stream("stdout", write_stdout), stream("stderr", write_stderr)

-- Commands as files. `buffer` from position `at` is what was read of the command and not yet of the pipe.
local pipes = setmetatable({}, { __mode = "k" })

local function opened(self)
  local pipe = pipes[self]
  if not pipe then error("a pipe made by io.popen expected as self (call with \":\")", 3) end
  if pipe.closed then error("attempt to use a closed file", 3) end
  return pipe
end

local function fill(pipe)
  if pipe.ended then return false end
  if pipe.busy then error("another goroutine is reading from this pipe", 0) end
  pipe.busy = true
  local piece = pull(pipe.handle)
  pipe.busy = false
  if piece == nil then
    pipe.ended = true
    return false
  end
  pipe.buffer = sub(pipe.buffer, pipe.at) .. piece
  pipe.at = 1
  return true
end

local function take(pipe, last)
  local text = sub(pipe.buffer, pipe.at, last)
  pipe.at = last + 1
  return text
end

local function read_line(pipe, keep)
  local searched = 0
  while true do
    local newline = find(pipe.buffer, "\n", pipe.at + searched, true)
    if newline then
      local line = take(pipe, newline)
      return keep and line or sub(line, 1, -2)
    end
    searched = #pipe.buffer - pipe.at + 1
    if not fill(pipe) then return searched > 0 and take(pipe, #pipe.buffer) or nil end
  end
end

local function read_rest(pipe)
  local parts = { take(pipe, #pipe.buffer) }
  while fill(pipe) do parts[#parts + 1] = take(pipe, #pipe.buffer) end
  return concat(parts)
end

local function read_bytes(pipe, count)
  while #pipe.buffer - pipe.at + 1 < count and fill(pipe) do end
  if pipe.at > #pipe.buffer and (count > 0 or not fill(pipe)) then return nil end
  return take(pipe, count > 0 and min(pipe.at + count - 1, #pipe.buffer) or pipe.at - 1)
end

local function read_number(pipe)
  local first, last
  repeat
    first, last = find(pipe.buffer, "^%s*[%w%.%+%-]*", pipe.at)
  until last < #pipe.buffer or not fill(pipe)
  return tonumber(match(take(pipe, last), "%S+"))
end

local function read_one(pipe, what)
  if type(what) == "number" then return read_bytes(pipe, what) end
  local letter = type(what) == "string" and match(what, "^%*?([alLn])")
  if letter == "a" then return read_rest(pipe) end
  if letter == "l" then return read_line(pipe, false) end
  if letter == "L" then return read_line(pipe, true) end
  if letter == "n" then return read_number(pipe) end
  error("bad argument to 'read' (\"*a\", \"*l\", \"*L\", \"*n\" or a number expected, got " .. tostring(what) .. ")", 3)
end

local function read_each(pipe, ...)
  local count = select("#", ...)
  if count == 0 then return read_one(pipe, "*l") end
  local values = {}
  for i = 1, count do
    values[i] = read_one(pipe, (select(i, ...)))
    if values[i] == nil then return unpack(values, 1, i) end
  end
  return unpack(values, 1, count)
end

local Pipe = {}
Pipe.__index = Pipe
Pipe.__metatable = false
function Pipe:__tostring() return pipes[self].closed and "file (closed)" or "file (" .. pipes[self].command .. ")" end

function Pipe:read(...)
  local pipe = opened(self)
  if not pipe.handle then return nil, "this pipe was opened for writing" end
  return read_each(pipe, ...)
end

function Pipe:lines(...)
  local pipe, formats, count = opened(self), { ... }, select("#", ...)
  if not pipe.handle then error("this pipe was opened for writing", 2) end
  return function() return read_each(pipe, unpack(formats, 1, count)) end
end

function Pipe:write(...)
  local pipe = opened(self)
  if pipe.handle then return nil, "this pipe was opened for reading" end
  pipe.input[#pipe.input + 1] = joined(...)
  return self
end

function Pipe:close()
  local pipe = opened(self)
  pipe.closed = true
  if pipe.handle then return natives.popen_close(pipe.handle) end
  return natives.popen_feed(pipe.command, { stdin = concat(pipe.input) })
end

function Pipe:flush() opened(self) return self end
function Pipe:setvbuf() opened(self) return true end
function Pipe:seek() opened(self) return nil, "a pipe cannot be positioned" end

function io.popen(command, mode)
  if type(command) ~= "string" then bad_argument(1, "popen", "string", command) end
  mode = mode or "r"
  local pipe = { command = command, buffer = "", at = 1 }
  if match(mode, "^rb?$") then
    local handle, problem = natives.popen_read(command)
    if not handle then return nil, problem end
    pipe.handle = handle
  elseif match(mode, "^wb?$") then
    pipe.input = {}
  else
    error("bad argument #2 to 'popen' (\"r\" or \"w\" expected, got \"" .. tostring(mode) .. "\")", 2)
  end
  local self = setmetatable({}, Pipe)
  pipes[self] = pipe
  return self
end

function io.type(value)
  if names[value] then return "file" end
  if pipes[value] then return pipes[value].closed and "closed file" or "file" end
  return raw_type(value)
end

function io.open(name, mode)
  if type(name) ~= "string" then bad_argument(1, "open", "string", name) end
  local path, problem = openable(name)
  if not path then return nil, problem end
  return raw_open(path, mode)
end

local input, output = io.stdin, io.stdout

local function closing(file, first, ...)
  if first == nil then file:close() end
  return first, ...
end

function io.lines(name, ...)
  if name == nil then return input:lines(...) end
  if type(name) ~= "string" then bad_argument(1, "lines", "string", name) end
  local file, problem = io.open(name)
  if not file then error(problem, 2) end
  local line = file:lines(...)
  return function() return closing(file, line()) end
end

local function redirect(current, file, mode)
  if file == nil then return current end
  if type(file) ~= "string" then return file end
  local opened_file, problem = io.open(file, mode)
  if not opened_file then error(problem, 3) end
  return opened_file
end

function io.input(file)
  input = redirect(input, file, "r")
  return input
end

function io.output(file)
  output = redirect(output, file, "w")
  return output
end

function io.read(...) return input:read(...) end

function io.write(...)
  if puts[output] then
    puts[output](joined(...))
    return output
  end
  return output:write(...)
end

function io.close(file)
  if file == nil then file = output end
  if names[file] or pipes[file] then return file:close() end
  return raw_close(file)
end

os.getenv = natives.getenv

function os.execute(command)
  if command == nil then return 1 end
  return natives.execute(command)
end

function os.remove(name)
  if type(name) ~= "string" then bad_argument(1, "remove", "string", name) end
  return raw_remove(resolve(name))
end

function os.rename(from, to)
  if type(from) ~= "string" then bad_argument(1, "rename", "string", from) end
  if type(to) ~= "string" then bad_argument(2, "rename", "string", to) end
  return raw_rename(resolve(from), resolve(to))
end

local Exit = { __tostring = function(self) return "os.exit(" .. self.sloth_exit .. ")" end }

function os.exit(code)
  if code == nil or code == true then code = 0 end
  if code == false then code = 1 end
  if type(code) ~= "number" then bad_argument(1, "exit", "number", code) end
  error(setmetatable({ sloth_exit = code - code % 1 }, Exit), 0)
end

function os.setlocale()
  error("os.setlocale is not available: the locale belongs to the whole process, which tasks share", 2)
end

return io
