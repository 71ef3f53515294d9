-- wait_group and the calls on handles. Plain tables and Lua where nobody waits, so that the compiler sees it all.
local rt = ...
local park, wake_all, queue, spawn, await = rt.park, rt.wake_all, rt.queue, rt.spawn, rt.await
local error, type, pcall, setmetatable = error, type, pcall, setmetatable
local TIMED_OUT = rt.TIMED_OUT

local WaitGroup = {}
WaitGroup.__index = WaitGroup
WaitGroup.__metatable, WaitGroup.__brand = false, "wait group"

local function check(self, call)
  if type(self) ~= "table" or not self.waiters then error("call it with a colon: wg:" .. call .. "(...)", 3) end
end

function WaitGroup:add(n)
  check(self, "add")
  if n == nil then n = 1 end
  if type(n) ~= "number" or n % 1 ~= 0 then error("bad argument #1 to 'add' (whole number expected)", 2) end
  local count = self.count + n
  if count < 0 then error("sync: negative WaitGroup counter", 2) end
  self.count = count
  if count == 0 then wake_all(self.waiters) end
end

function WaitGroup:done()
  check(self, "done")
  local count = self.count - 1
  if count < 0 then error("sync: negative WaitGroup counter", 2) end
  self.count = count
  if count == 0 then wake_all(self.waiters) end
end

function WaitGroup:wait(ms)
  check(self, "wait")
  if self.count == 0 then return true end
  if park(self.waiters, ms) == TIMED_OUT then return false, "timeout exceeded" end
  return true
end

local function run_and_done(self, fn, ...)
  local function ended(ok, ...)
    self:done()
    if not ok then error((...), 0) end
    return ...
  end
  return ended(pcall(fn, ...))
end

function WaitGroup:go(fn, ...)
  check(self, "go")
  if type(fn) ~= "function" then error("bad argument #1 to 'go' (function expected, got " .. type(fn) .. ")", 2) end
  self:add(1)
  return spawn(run_and_done, self, fn, ...)
end

function rt.wait_group()
  return setmetatable({ count = 0, waiters = queue("wait_group:wait") }, WaitGroup)
end

local function awaited(first, ...)
  if first == TIMED_OUT then return false, "timeout exceeded" end
  return first, ...
end

function rt.await_within(handle, ms)
  return awaited(await(handle, ms))
end

local Handle = rt.handle_methods
Handle.__index = {
  await = rt.await_within,
  cancel = rt.cancel,
  status = rt.status,
  detach = rt.detach,
  name = rt.name,
}
