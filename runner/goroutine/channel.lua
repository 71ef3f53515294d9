-- Channels and select. Receivers wait only while the buffer is empty, senders only while it is full; so between the two
-- no queue need be looked at.
local rt = ...
local park, park_value, park_select, wake, wake_all, take, queue, queue_size =
  rt.park, rt.park_value, rt.park_select, rt.wake, rt.wake_all, rt.take, rt.queue, rt.queue_size
local TIMED_OUT = rt.TIMED_OUT
local CLOSED = {} -- what a parked sender or receiver is woken with by close()
local error, type, pcall, setmetatable, tostring = error, type, pcall, setmetatable, tostring
local random, unpack, pairs, ipairs = math.random, unpack, pairs, ipairs

local Channel = {}
Channel.__index = Channel
Channel.__metatable, Channel.__brand = false, "channel"
local channels = setmetatable({}, { __mode = "k" })

local function check(self, call)
  if not channels[self] then error("channel expected; call it with a colon: ch:" .. call .. "(...)", 3) end
end

local function sending(self)
  if self.direction == "receive" then error("cannot send on receive-only channel", 3) end
end

local function receiving(self)
  if self.direction == "send" then error("cannot receive on send-only channel", 3) end
end

-- True when the value was handed over or stored.
local function put(self, value)
  local n = self.size
  if n == 0 and wake(self.receivers, value, true) then return true end
  if n >= self.capacity then return false end
  self[(self.first + n) % self.capacity + 1] = value
  self.size = n + 1
  return true
end

-- true, value when there was one.
local function get(self)
  local n = self.size
  if n == 0 then return take(self.senders) end
  local first, capacity = self.first, self.capacity
  local value = self[first + 1]
  self[first + 1] = nil
  self.first = (first + 1) % capacity
  if n == capacity then
    local taken, waiting = take(self.senders)
    if taken then
      self[first + 1] = waiting
      return true, value
    end
  end
  self.size = n - 1
  return true, value
end

function Channel:send(value)
  check(self, "send")
  sending(self)
  if self.closed then return false, "send on closed channel" end
  if put(self, value) then return true end
  if park_value(self.senders, value) == CLOSED then return false, "send on closed channel" end
  return true
end

local function received(value, ok)
  if value == CLOSED then return nil, false end
  return value, ok
end

function Channel:receive()
  check(self, "receive")
  receiving(self)
  local ok, value = get(self)
  if ok then return value, true end
  if self.closed then return nil, false end
  return received(park(self.receivers))
end

function Channel:try_send(value)
  check(self, "try_send")
  sending(self)
  if self.closed then return false, "send on closed channel" end
  return put(self, value)
end

function Channel:try_receive()
  check(self, "try_receive")
  receiving(self)
  local ok, value = get(self)
  if ok then return value, true end
  return nil, false
end

function Channel:close()
  check(self, "close")
  if self.direction == "receive" then error("cannot close receive-only channel", 2) end
  if self.closed then return false, "channel already closed" end
  self.closed = true
  wake_all(self.receivers, CLOSED)
  wake_all(self.senders, CLOSED)
  return true
end

function Channel:is_closed()
  check(self, "is_closed")
  return self.closed
end

function Channel:len()
  check(self, "len")
  return self.size
end

function Channel:cap()
  check(self, "cap")
  return self.capacity
end

function Channel:iter()
  check(self, "iter")
  if self.direction == "send" then error("cannot range over send-only channel", 2) end
  return function()
    local value, ok = self:receive()
    if ok then return value end
  end
end

function Channel:range(fn)
  check(self, "range")
  if self.direction == "send" then error("cannot range over send-only channel", 2) end
  if type(fn) ~= "function" then error("bad argument #1 to 'range' (function expected, got " .. type(fn) .. ")", 2) end
  while true do
    local value, ok = self:receive()
    if not ok then return end
    local ran, problem = pcall(fn, value)
    if not ran then error("error in range handler: " .. tostring(problem), 0) end
  end
end

local directions = { bidirectional = true, send = true, receive = true }

function rt.channel(capacity, direction)
  if capacity == nil then capacity = 0 end
  if type(capacity) ~= "number" or capacity % 1 ~= 0 then
    error("bad argument #1 to 'channel' (whole number expected)", 2)
  end
  if capacity < 0 then error("capacity must be non-negative", 2) end
  if direction == nil then direction = "bidirectional" end
  if not directions[direction] then error("direction must be 'bidirectional', 'send', or 'receive'", 2) end
  local made = setmetatable({
    capacity = capacity, size = 0, first = 0, closed = false, direction = direction,
    senders = queue("channel:send"), receivers = queue("channel:receive"),
  }, Channel)
  channels[made] = true
  return made
end

for _, call in ipairs { "send", "receive", "close", "len", "cap" } do
  rt["channel_" .. call] = function(channel, ...)
    if not channels[channel] then
      error("bad argument #1 to 'channel_" .. call .. "' (channel expected, got " .. type(channel) .. ")", 2)
    end
    return Channel[call](channel, ...)
  end
end

-- Checks the cases and returns the default one, if any.
local function checked_cases(cases, level)
  if type(cases) ~= "table" then error("bad argument: a list of cases expected, got " .. type(cases), level) end
  local default
  for i = 1, #cases do
    local case = cases[i]
    local what = "select case " .. i
    if type(case) ~= "table" then error(what .. ": a table expected, got " .. type(case), level) end
    if case.handler ~= nil and type(case.handler) ~= "function" then error(what .. ": handler must be a function", level) end
    for key in pairs(case) do
      if key ~= "channel" and key ~= "receive" and key ~= "send" and key ~= "default" and key ~= "handler" then
        error(what .. ": unknown key \"" .. tostring(key) .. "\"", level)
      end
    end
    if case.default then
      if default then error(what .. ": only one default is possible", level) end
      default = i
    elseif not channels[case.channel] then
      error(what .. ": channel = a channel expected, got " .. type(case.channel), level)
    elseif case.receive and case.send ~= nil then
      error(what .. ": either receive = true or send = value", level)
    elseif not case.receive and case.channel.direction == "receive" then
      error(what .. ": cannot send on receive-only channel", level)
    elseif case.receive and case.channel.direction == "send" then
      error(what .. ": cannot receive on send-only channel", level)
    end
  end
  return default
end

local function handle(index, case, ...)
  if case.handler then return index, case.handler(...) end
  return index
end

-- One try of one case: did it happen, and what its handler gets.
local function attempt(case)
  local channel = case.channel
  if case.receive then
    local ok, value = get(channel)
    if ok then return true, value, true end
    if channel.closed then return true, nil, false end
    return false
  end
  if channel.closed then return true, false, "send on closed channel" end
  return put(channel, case.send), true
end

local function woken(cases, map, index, first, second)
  if index == TIMED_OUT then return TIMED_OUT end
  index = map[index]
  local case = cases[index]
  if case.receive then
    if first == CLOSED then return handle(index, case, nil, false) end
    return handle(index, case, first, second)
  end
  if first == CLOSED then return handle(index, case, false, "send on closed channel") end
  return handle(index, case, true)
end

local function select(cases, ms, default)
  local n = #cases
  -- A random start makes the choice among ready cases fair.
  local start = n > 1 and random(n) or 1
  for k = 0, n - 1 do
    local i = (start + k - 1) % n + 1
    local case = cases[i]
    if not case.default then
      local happened, first, second = attempt(case)
      if happened then return handle(i, case, first, second) end
    end
  end
  if default then return handle(default, cases[default]) end
  local arguments, map, count = {}, {}, 0
  for i = 1, n do
    local case = cases[i]
    count = count + 1
    map[count] = i
    local sends = not case.receive
    arguments[3 * count - 2] = sends and case.channel.senders or case.channel.receivers
    arguments[3 * count - 1] = sends
    arguments[3 * count] = case.send
  end
  return woken(cases, map, park_select(ms, unpack(arguments, 1, 3 * count)))
end

function rt.select(cases)
  local default = checked_cases(cases, 3)
  if #cases == 0 then error("select needs at least one case", 2) end
  return select(cases, nil, default)
end

-- timed out?, index or error text (the original's shape, with the index from 1)
function rt.select_timeout(ms, cases)
  if type(ms) ~= "number" or not (ms >= 0) then
    error("bad argument #1 to 'select_timeout' (milliseconds expected)", 2)
  end
  local default = checked_cases(cases, 3)
  if #cases == 0 then
    rt.sleep(ms)
    return true, nil
  end
  local ok, index = pcall(select, cases, ms, default)
  if not ok then
    if rt.cancelled() then error(index, 0) end
    return false, tostring(index)
  end
  if index == TIMED_OUT then return true, nil end
  return false, index
end
