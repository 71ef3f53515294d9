-- Pools: a limit on concurrency and a queue of jobs, first in, first out. Workers are goroutines that exist only while
-- there is work.
local rt = ...
local park, wake, wake_all, queue, spawn, now, where, root =
  rt.park, rt.wake, rt.wake_all, rt.queue, rt.spawn, rt.now, rt.where, rt.root
local error, type, xpcall, setmetatable, rawget, select, unpack, tostring, pairs = error, type, xpcall, setmetatable,
  rawget, select, unpack, tostring, pairs
local format, sort, concat, min, tonumber = string.format, table.sort, table.concat, math.min, tonumber

local pools = {} -- root -> name -> pool
local made = 0 -- pools so far: their order

-- The first root of the VM in which the file runs is the file itself. Its pools end with it; what it adds to a library
-- travels to every task.
local function note_of_file(name, place)
  if not rt.in_plan() or root() ~= 1 then return end
  local noted = rawget(rt.library, "file_pools") or {}
  rt.library.file_pools = noted
  noted[name] = place
end

local function find(name)
  if type(name) ~= "string" then error("bad argument #1 (pool name expected, got " .. type(name) .. ")", 3) end
  local mine = pools[root()]
  local found = mine and mine[name]
  local noted = not found and rawget(rt.library, "file_pools")
  if noted and noted[name] then
    error(format("pool \"%s\" was made at file level (%s); create it inside the task", name, noted[name]), 3)
  end
  return found
end

local function option(options, name, default, low, high)
  local value = options[name]
  if value == nil then return default end
  if type(value) ~= "number" or value % 1 ~= 0 or value < low or value > high then
    error(format("bad option \"%s\" (whole number from %d to %d expected, got %s)", name, low, high, tostring(value)), 3)
  end
  return value
end

local known = { workers = true, queue = true, on_full = true }

function rt.pool_create(name, options)
  if type(name) ~= "string" then
    error("bad argument #1 to 'pool_create' (string expected, got " .. type(name) .. ")", 2)
  end
  if options ~= nil and type(options) ~= "table" then
    error("bad argument #2 to 'pool_create' (table expected, got " .. type(options) .. ")", 2)
  end
  options = options or {}
  for key in pairs(options) do
    if key == "parallel" then error("option \"parallel\" is not available in this version", 2) end
    if not known[key] then
      error("unknown option \"" .. tostring(key) .. "\" (known: workers, queue, on_full)", 2)
    end
  end
  local on_full = options.on_full or "wait"
  if on_full ~= "wait" and on_full ~= "error" then
    error("bad option \"on_full\" (\"wait\" or \"error\" expected, got " .. tostring(on_full) .. ")", 2)
  end
  local mine = pools[root()]
  if not mine then
    mine = {}
    pools[root()] = mine
  end
  local old = mine[name]
  if old and not old.closed then
    error(format("pool \"%s\" already exists (made at %s)", name, old.made_at), 2)
  end
  made = made + 1
  local place = where()
  note_of_file(name, place)
  mine[name] = {
    name = name, made_at = place, on_full = on_full, number = made,
    workers = option(options, "workers", 4, 1, 100000),
    capacity = option(options, "queue", 1024, 1, 10000000),
    active = 0, first = 1, last = 0, -- jobs[first..last] wait
    jobs = {}, results = {}, errors = {}, unseen = 0,
    submitted = 0, completed = 0, failed = 0,
    wait_sum = 0, wait_max = 0, run_sum = 0, run_max = 0,
    room = queue("pool_submit (queue full)"), idle = queue("pool_wait"), ended = queue("pool_result"),
  }
  return true
end

local function handler(problem)
  local message, traceback = rt.failure(problem)
  return { message = message, traceback = traceback, value = problem }
end

local function settle(pool, job, ok, ...)
  local spent = now() - job.began
  pool.run_sum = pool.run_sum + spent
  if spent > pool.run_max then pool.run_max = spent end
  if ok then
    pool.completed = pool.completed + 1
    local n = select("#", ...)
    pool.results[job.id] = n > 0 and { true, n, ... } or true
    return
  end
  local problem = ...
  if rt.cancelled() then error(problem.value, 0) end
  pool.failed = pool.failed + 1
  pool.unseen = pool.unseen + 1
  pool.results[job.id] = { false, 1, problem.value }
  pool.errors[#pool.errors + 1] = { id = job.id, error = problem.message }
  rt.log("error", format("pool \"%s\": job %s failed: %s\n%s", pool.name, job.id, problem.message, problem.traceback))
end

local function call(job)
  if job.n == 0 then return job.fn() end
  return job.fn(unpack(job, 1, job.n))
end

local function work(pool)
  while pool.first <= pool.last do
    local first = pool.first
    local job = pool.jobs[first]
    pool.jobs[first] = nil
    if first == pool.last then
      pool.first, pool.last = 1, 0
    else
      pool.first = first + 1
    end
    wake(pool.room)
    job.began = now()
    local waited = job.began - job.queued
    pool.wait_sum = pool.wait_sum + waited
    if waited > pool.wait_max then pool.wait_max = waited end
    settle(pool, job, xpcall(call, handler, job))
    wake_all(pool.ended)
  end
  pool.active = pool.active - 1
  if pool.active == 0 then wake_all(pool.idle) end
end

function rt.pool_submit(name, fn, ...)
  local pool = find(name)
  if type(fn) ~= "function" then
    error("bad argument #2 to 'pool_submit' (function expected, got " .. type(fn) .. ")", 2)
  end
  if not pool then return nil, "pool not found: " .. name end
  if pool.closed then return nil, "pool is closed" end
  while pool.active >= pool.workers and pool.last - pool.first + 1 >= pool.capacity do
    if pool.on_full == "error" then return nil, "pool queue is full" end
    park(pool.room)
    if pool.closed then return nil, "pool is closed" end
  end
  pool.submitted = pool.submitted + 1
  local id = name .. "-" .. pool.submitted
  local job = { id = id, fn = fn, queued = now(), n = select("#", ...), ... }
  pool.last = pool.last + 1
  pool.jobs[pool.last] = job
  if pool.active < pool.workers then
    pool.active = pool.active + 1
    spawn(work, pool)
  end
  return id
end

local function drain(pool)
  while pool.active > 0 do park(pool.idle) end
end

-- What pool_wait tells of failures. It fills itself when first read: only then somebody has looked at them.
local function report_of(pool)
  if pool.unseen == 0 then return { failed = pool.failed, errors = pool.errors } end
  return setmetatable({}, {
    __index = function(report, key)
      setmetatable(report, nil)
      pool.unseen = 0
      report.failed, report.errors = pool.failed, pool.errors
      return report[key]
    end,
  })
end

function rt.pool_wait(name)
  local pool = find(name)
  if not pool then return false, "pool not found: " .. name end
  drain(pool)
  return true, report_of(pool)
end

function rt.pool_close(name)
  local pool = find(name)
  if not pool or pool.closed then return false end
  pool.closed = true
  wake_all(pool.room)
  drain(pool)
  return true
end

local function average(sum, n) return n > 0 and sum / n or 0 end

function rt.pool_stats(name)
  local pool = find(name)
  if not pool then return nil end
  pool.unseen = 0
  local ran = pool.completed + pool.failed
  return {
    name = name, workers = pool.workers, active = pool.active, queued = pool.last - pool.first + 1,
    submitted = pool.submitted, completed = pool.completed, failed = pool.failed,
    wait_avg = average(pool.wait_sum, ran), wait_max = pool.wait_max,
    run_avg = average(pool.run_sum, ran), run_max = pool.run_max,
  }
end

function rt.pool_result(name, id)
  local pool = find(name)
  if not pool then return false, "pool not found: " .. name end
  local prefix = name .. "-"
  local number = type(id) == "string" and id:sub(1, #prefix) == prefix and tonumber(id:sub(#prefix + 1))
  if not number or number < 1 or number > pool.submitted then
    return false, "job not found: " .. tostring(id)
  end
  while pool.results[id] == nil do park(pool.ended) end
  local result = pool.results[id]
  if result == true then return true end
  if not result[1] then pool.unseen = 0 end
  return result[1], unpack(result, 3, 2 + result[2])
end

-- At the end of a task: pools left open are named (many in one line), failures nobody looked at fail it.
rt.at_root_end(function(id)
  local mine = pools[id]
  if not mine then return end
  pools[id] = nil
  local open, failures = {}, {}
  for name, pool in pairs(mine) do
    if not pool.closed then open[#open + 1] = pool end
    if pool.unseen > 0 then
      failures[#failures + 1] =
        format("pool \"%s\": %d of %d jobs failed and nothing looked at it", name, pool.failed, pool.submitted)
    end
  end
  sort(open, function(a, b) return a.number < b.number end)
  for i = 1, #open do open[i] = format("\"%s\" (made at %s)", open[i].name, open[i].made_at) end
  sort(failures)
  local warnings = {}
  if #open == 1 then
    warnings[1] = "pool " .. open[1] .. " was never closed; goroutine.pool_close ends it"
  elseif #open > 1 then
    warnings[1] = format("%d pools were never closed, the first: %s; goroutine.pool_close ends one", #open,
      concat(open, ", ", 1, min(3, #open)))
  end
  return warnings, failures
end)
