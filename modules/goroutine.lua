-- The public face of the goroutine module: names, arguments, result shapes. What the calls mean is in
-- docs/modules/goroutine.md; how they work in runner/goroutine.
local rt = (...).runtime()
local error, type, select, setmetatable, pairs, tostring = error, type, select, setmetatable, pairs, tostring
local spawn, await = rt.spawn, rt.await_within

local goroutine = {
  spawn = rt.spawn,
  async = rt.async,
  await = await,
  sleep = rt.sleep,
  timeout = rt.timeout,
  wait_group = rt.wait_group,
  pool_create = rt.pool_create,
  pool_submit = rt.pool_submit,
  pool_wait = rt.pool_wait,
  pool_close = rt.pool_close,
  pool_stats = rt.pool_stats,
  pool_result = rt.pool_result,
  channel = rt.channel,
  channel_send = rt.channel_send,
  channel_receive = rt.channel_receive,
  channel_close = rt.channel_close,
  channel_len = rt.channel_len,
  channel_cap = rt.channel_cap,
  select = rt.select,
  select_timeout = rt.select_timeout,
  mutex = rt.mutex,
  semaphore = rt.semaphore,
  stats = rt.stats,
}

function goroutine.spawn_many(n, fn)
  if type(n) ~= "number" or n % 1 ~= 0 or n < 0 then
    error("bad argument #1 to 'spawn_many' (whole number of at least 0 expected)", 2)
  end
  if type(fn) ~= "function" then
    error("bad argument #2 to 'spawn_many' (function expected, got " .. type(fn) .. ")", 2)
  end
  local handles = {}
  for id = 1, n do handles[id] = spawn(fn, id) end
  return handles
end

local function result(ok, ...)
  if ok then return { success = true, values = { n = select("#", ...), ... } } end
  return { success = false, error = (...) }
end

function goroutine.await_all(handles, ms)
  if type(handles) ~= "table" then
    error("bad argument #1 to 'await_all' (list of handles expected, got " .. type(handles) .. ")", 2)
  end
  local n = handles.n or 0
  for key in pairs(handles) do
    if type(key) == "number" and key > n then n = key end
  end
  for i = 1, n do
    if not rt.is_handle(handles[i]) then
      error("bad argument #1 to 'await_all' (goroutine handle expected at index " .. i .. ", got " .. type(handles[i]) .. ")", 2)
    end
  end
  local deadline = ms and rt.now() + ms
  local results = {}
  for i = 1, n do
    local left = deadline and deadline - rt.now()
    results[i] = result(await(handles[i], left and (left > 0 and left or 0)))
  end
  return results
end

rt.library = goroutine
return setmetatable(goroutine, {
  __index = function(_, name)
    error("goroutine." .. tostring(name) .. " is not available in this version", 2)
  end,
})
