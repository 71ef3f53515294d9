-- What every VM starts with: coroutines that let a waiting call pass through, loading of text only, files by
-- name, and nothing that leads to native code. Gets the natives of prelude.cc.
local natives = ...
local park = natives.park
local error, select, type, tostring, pairs = error, select, type, tostring, pairs
local concat, setfenv = table.concat, setfenv

-- A waiting native is resumed with (true, values...) or (false, error [, plain]). Texts get the user's position in
-- front, but for the plain reason of a cancel.
local positioned = natives.positioned
local function finish(ok, ...)
  if ok then return ... end
  error(positioned(...), 0)
end

local function waiting(raw)
  return function(...) return finish(raw(...)) end
end

-- Coroutines. A waiting call inside a user's own coroutine yields `park` outwards until it reaches the scheduler,
-- and is resumed inwards the same way.
local raw_resume, raw_yield, raw_create, raw_status = coroutine.resume, coroutine.yield, coroutine.create, coroutine.status
local parked = setmetatable({}, { __mode = "k" })

local function relay(co, ok, first, ...)
  if not ok or first ~= park then return ok, first, ... end
  parked[co] = true
  local function resumed(...)
    parked[co] = nil
    return relay(co, raw_resume(co, ...))
  end
  return resumed(raw_yield(park))
end

function coroutine.resume(co, ...)
  if parked[co] then return false, "cannot resume a coroutine that waits" end
  return relay(co, raw_resume(co, ...))
end

function coroutine.status(co)
  return parked[co] and "normal" or raw_status(co)
end

local function unwrap(ok, ...)
  if ok then return ... end
  return error((...), 0)
end

function coroutine.wrap(fn)
  local co = raw_create(fn)
  local resume = coroutine.resume
  return function(...) return unwrap(resume(co, ...)) end
end

-- Text only, through every door.
local function compile(text, name, env)
  local fn, problem = natives.compile(text, name)
  if not fn then return nil, problem end
  return env and setfenv(fn, env) or fn
end

function load(chunk, name, mode, env)
  if type(chunk) == "function" then
    local pieces = {}
    while true do
      local piece = chunk()
      if piece == nil or piece == "" then break end
      if type(piece) ~= "string" then return nil, "reader function must return a string" end
      pieces[#pieces + 1] = piece
    end
    chunk, name = concat(pieces), name or "=(load)"
  elseif type(chunk) ~= "string" then
    error("bad argument #1 to 'load' (string or function expected, got " .. type(chunk) .. ")", 2)
  end
  if mode == "b" then return nil, "bytecode is not accepted; give the source text" end
  return compile(chunk, name or chunk, env)
end

function loadstring(text, name)
  if type(text) ~= "string" then
    error("bad argument #1 to 'loadstring' (string expected, got " .. type(text) .. ")", 2)
  end
  return compile(text, name or text)
end

-- Modules come when they are first named, through a metatable of the globals: a script that brings its own gets them
-- all before.
local raw_setmetatable, globals = setmetatable, _G
function setmetatable(object, metatable)
  if object == globals then natives.load_all() end
  return raw_setmetatable(object, metatable)
end

-- Files. `sources` is absent in an attempt, where only what travelled with the function can be found.
local loaded, by_path = {}, {}
for name, value in pairs(package.loaded) do
  if name ~= "ffi" and not name:find("^jit%.") then loaded[name] = value end
end

local function run_file(path, shown)
  local entry = by_path[path]
  if entry then
    if entry.running then error("import loop: " .. shown .. " is being loaded already", 3) end
    return entry.value
  end
  local fn, problem = natives.load_file(path, shown)
  if not fn then error(problem, 3) end
  entry = { running = true }
  by_path[path] = entry
  entry.value = fn(shown)
  entry.running = nil
  return entry.value
end

local function travelled(kind, name)
  local thunk = natives.travelled(name)
  if thunk then return thunk() end
  error(kind .. " of \"" .. tostring(name) .. "\" inside a task finds only what was found when the file was loaded; "
    .. kind .. " it at file level", 3)
end

function require(name)
  if type(name) ~= "string" then error("bad argument #1 to 'require' (string expected, got " .. type(name) .. ")", 2) end
  local value = loaded[name]
  if value ~= nil then return value end
  if not natives.may_read() then return (travelled("require", name)) end
  local path, shown, tried = natives.find_module(name)
  if not path then error("module \"" .. name .. "\" not found; tried " .. tried .. natives.nearest_module(name), 2) end
  value = run_file(path, shown)
  if value == nil then value = true end
  loaded[name] = value
  return value
end

function import(name)
  if type(name) ~= "string" then error("bad argument #1 to 'import' (string expected, got " .. type(name) .. ")", 2) end
  if not natives.may_read() then return (travelled("import", name)) end
  local path, shown, tried = natives.find_file(name)
  if not path then error("cannot import \"" .. name .. "\": no such file; tried " .. tried, 2) end
  return (run_file(path, shown))
end

function loadfile(name)
  if type(name) ~= "string" then return nil, "loadfile needs a file name" end
  return natives.load_file(natives.resolve(name), name)
end

function dofile(name)
  local fn, problem = loadfile(name)
  if not fn then error(problem, 2) end
  return fn()
end

-- Nothing that leads to native code, to other VMs' insides or to finalizers written in Lua.
package = { loaded = loaded }
debug = { traceback = debug.traceback, getinfo = debug.getinfo }
jit = { status = jit.status, version = jit.version, version_num = jit.version_num, os = jit.os, arch = jit.arch }
string.dump, newproxy, module, ffi = nil, nil, nil, nil
loaded.package, loaded.debug, loaded.jit = package, debug, jit
loaded["table.new"], loaded["table.clear"] = natives.table_new, natives.table_clear

return waiting, loaded
