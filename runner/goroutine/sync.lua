-- Locks and their kin. Fair: a lock is handed to who waited longest, so a late comer cannot overtake.
local rt = ...
local park, wake, queue, queue_size = rt.park, rt.wake, rt.queue, rt.queue_size
local TIMED_OUT = rt.TIMED_OUT
local error, type, pcall, setmetatable = error, type, pcall, setmetatable

local function class(brand)
  local made = {}
  made.__index = made
  made.__metatable, made.__brand = false, brand
  return made
end

local function released(self, release, ok, ...)
  release(self)
  if not ok then error((...), 0) end
  return ...
end

local Mutex = class("mutex")

function Mutex:lock()
  if not self.locked then
    self.locked = true
    return
  end
  park(self.waiters)
end

function Mutex:try_lock()
  if self.locked then return false end
  self.locked = true
  return true
end

function Mutex:unlock()
  if not self.locked then error("mutex: unlock of unlocked mutex", 2) end
  if not wake(self.waiters) then self.locked = false end
end

function Mutex:with(fn, ...)
  self:lock()
  return released(self, self.unlock, pcall(fn, ...))
end

function rt.mutex() return setmetatable({ locked = false, waiters = queue("mutex:lock") }, Mutex) end

local Semaphore = class("semaphore")

function Semaphore:acquire()
  if self.free > 0 then
    self.free = self.free - 1
    return
  end
  park(self.waiters)
end

function Semaphore:try_acquire()
  if self.free == 0 then return false end
  self.free = self.free - 1
  return true
end

function Semaphore:release()
  if self.free + queue_size(self.waiters) >= self.size and queue_size(self.waiters) == 0 then
    error("semaphore: release without acquire", 2)
  end
  if not wake(self.waiters) then self.free = self.free + 1 end
end

function Semaphore:available() return self.free end
function Semaphore:capacity() return self.size end

function Semaphore:with(fn, ...)
  self:acquire()
  return released(self, self.release, pcall(fn, ...))
end

function rt.semaphore(n)
  if type(n) ~= "number" or n % 1 ~= 0 then error("bad argument #1 to 'semaphore' (whole number expected)", 2) end
  if n <= 0 then error("capacity must be positive", 2) end
  return setmetatable({ free = n, size = n, waiters = queue("semaphore:acquire") }, Semaphore)
end
