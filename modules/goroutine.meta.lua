---@meta goroutine

---Goroutines: many things at once, in one task, with shared variables.
---
---A goroutine is a function that runs beside others. Control changes only where a call waits (`sleep`, `exec.run`,
---`http.get`, files, `receive`, ...), so plain assignments need no lock. A task ends when its function and every
---goroutine it started have ended; an error in one that nobody awaits fails the task. When all wait and nothing can
---wake them, the task fails and every one's place is named. Times are milliseconds.
---
---```lua
---local handles = {}
---for i = 1, 3 do
---  handles[i] = goroutine.async(function()
---    goroutine.sleep(10)
---    return i * i
---  end)
---end
---local results = goroutine.await_all(handles)
---assert(results[3].success and results[3].values[1] == 9)
---```
---@class goroutine
goroutine = {}

---A running or ended goroutine: what `spawn` and `async` return.
---@class goroutine.Handle
local Handle = {}

---Waits for its end: true and its values, or false and its error. Any number of times, always the same answer. After
---`ms` it returns false, "timeout exceeded"; the goroutine goes on.
---
---```lua
---local h = goroutine.spawn(function(a, b) return a + b end, 1, 2)
---local success, sum = h:await()
---assert(success and sum == 3)
---```
---@param ms? number
---@return boolean success
---@return any ... values or the error
function Handle:await(ms) end

---Ends it and all that it started: the call in which it waits raises `reason`, a command under it is killed, a loop is
---interrupted. False when it had ended before.
---
---```lua
---local h = goroutine.async(function() exec.run("sleep 60") end)
---goroutine.sleep(1)
---assert(h:cancel("not needed") == true)
---local success, reason = h:await()
---assert(not success and reason == "not needed" and h:status() == "cancelled")
---```
---@param reason? string default "cancelled"
---@return boolean
function Handle:cancel(reason) end

---"ready" (to run), "running", "waiting", "done", "failed" or "cancelled".
---@return string
function Handle:status() end

---Says that nobody will await it: its error is logged, but does not fail the task. Returns the handle.
---
---```lua
---goroutine.spawn(function() error("of no importance") end):detach()
---```
---@return goroutine.Handle
function Handle:detach() end

---Gives it a name for messages, and returns the handle; without an argument, tells the name.
---
---```lua
---local h = goroutine.spawn(function() goroutine.sleep(1) end):name("watcher")
---assert(h:name() == "watcher")
---```
---@param name? string
---@return goroutine.Handle|string
function Handle:name(name) end

---Runs `fn(...)` in a new goroutine. Its error is logged at once, and fails the task unless somebody awaits it.
---
---```lua
---local done = false
---goroutine.spawn(function() done = true end):await()
---assert(done)
---```
---@param fn function
---@param ... any its arguments
---@return goroutine.Handle
function goroutine.spawn(fn, ...) end

---Runs `fn(id)` in `n` goroutines, id = 1 to n.
---
---```lua
---local seen = 0
---for _, h in ipairs(goroutine.spawn_many(5, function(id) seen = seen + id end)) do h:await() end
---assert(seen == 15)
---```
---@param n integer
---@param fn fun(id: integer)
---@return goroutine.Handle[]
function goroutine.spawn_many(n, fn) end

---As `spawn`, for a result that will be awaited: its error is logged only if nobody does until the task ends.
---@param fn function
---@param ... any
---@return goroutine.Handle
function goroutine.async(fn, ...) end

---The same as `handle:await(ms)`.
---
---```lua
---local success, message = goroutine.await(goroutine.async(function() error("no luck", 0) end))
---assert(success == false and message == "no luck")
---local late, why = goroutine.await(goroutine.async(function() goroutine.sleep(50) end), 1)
---assert(late == false and why == "timeout exceeded")
---```
---@param handle goroutine.Handle
---@param ms? number
---@return boolean success
---@return any ...
function goroutine.await(handle, ms) end

---Waits for all, for `ms` altogether, and gives one table for each in the order given: `success` and `values` (with
---their number in `values.n`) or `error`. A hole in the list, or something else than a handle, raises.
---
---```lua
---local results = goroutine.await_all({
---  goroutine.async(function() return "a", nil, "c" end),
---  goroutine.async(function() error("broken", 0) end),
---})
---assert(results[1].success and results[1].values.n == 3 and results[1].values[3] == "c")
---assert(not results[2].success and results[2].error == "broken")
---```
---@param handles goroutine.Handle[]
---@param ms? number
---@return {success: boolean, values: any[]?, error: any}[]
function goroutine.await_all(handles, ms) end

---Waits; only this goroutine stands still. Fractions count; 0 lets the others run first.
---
---```lua
---goroutine.sleep(2.5)
---```
---@param ms number 0 to 30 days
function goroutine.sleep(ms) end

---Runs `fn(...)` for at most `ms`: true and its values, false and its error, or false, "timeout exceeded". By then the
---function, all goroutines it started and their commands are gone, also an endless loop.
---
---```lua
---local success, value = goroutine.timeout(1000, function() return 42 end)
---assert(success and value == 42)
---
---local finished, why = goroutine.timeout(20, function() while true do end end)
---assert(finished == false and why == "timeout exceeded")
---```
---@param ms number more than 0
---@param fn function
---@param ... any
---@return boolean success
---@return any ...
function goroutine.timeout(ms, fn, ...) end

---@class goroutine.WaitGroup
local WaitGroup = {}

---A counter that can be waited for.
---
---```lua
---local wg = goroutine.wait_group()
---local sum = 0
---wg:add(3)
---for i = 1, 3 do
---  goroutine.spawn(function()
---    goroutine.sleep(1)
---    sum = sum + i
---    wg:done()
---  end)
---end
---wg:wait()
---assert(sum == 6)
---```
---@return goroutine.WaitGroup
function goroutine.wait_group() end

---Raises when the counter would fall below zero, and leaves it as it was.
---@param n? integer default 1; may be negative
function WaitGroup:add(n) end

---The same as `add(-1)`.
function WaitGroup:done() end

---Waits until the counter is zero: true; or false, "timeout exceeded" after `ms`.
---@param ms? number
---@return boolean
---@return string? problem
function WaitGroup:wait(ms) end

---`add(1)`, `spawn`, and `done()` at the end, also after an error.
---
---```lua
---local wg = goroutine.wait_group()
---local lines = 0
---for _ = 1, 4 do wg:go(function() lines = lines + 1 end) end
---assert(wg:wait() and lines == 4)
---```
---@param fn function
---@param ... any
---@return goroutine.Handle
function WaitGroup:go(fn, ...) end

---@class goroutine.PoolOptions
---@field workers? integer jobs at once, default 4
---@field queue? integer jobs that may wait, default 1024
---@field on_full? "wait"|"error" what `pool_submit` does when the queue is full; default "wait"

---Makes a pool: a limit on how many jobs run at once, and a queue of those that wait. It belongs to the task that made
---it. A name that is in use raises, and tells where it was made; after `pool_close` it is free again.
---
---```lua
---goroutine.pool_create("files", { workers = 2 })
---local done = 0
---for i = 1, 10 do
---  goroutine.pool_submit("files", function()
---    goroutine.sleep(1)
---    done = done + 1
---  end)
---end
---local ok, report = goroutine.pool_wait("files")
---assert(ok and report.failed == 0 and done == 10)
---goroutine.pool_close("files")
---```
---@param name string
---@param options? goroutine.PoolOptions
---@return true
function goroutine.pool_create(name, options) end

---Gives `fn(...)` to a pool. Waits while the queue is full (with `on_full = "error"`: nil, "pool queue is full"), so
---nothing is ever dropped.
---@param name string
---@param fn function
---@param ... any
---@return string? id of the job; nil when the pool is unknown or closed
---@return string? problem "pool not found: NAME", "pool is closed" or "pool queue is full"
function goroutine.pool_submit(name, fn, ...) end

---Waits until all jobs of a pool have ended; it stays usable. Failures are counted, listed and logged: `failed` and
---`errors`, a list of `{id=, error=}`.
---
---```lua
---goroutine.pool_create("risky")
---local id = goroutine.pool_submit("risky", function() error("no luck", 0) end)
---local ok, report = goroutine.pool_wait("risky")
---assert(ok and report.failed == 1 and report.errors[1].id == id and report.errors[1].error == "no luck")
---goroutine.pool_close("risky")
---```
---@param name string
---@return boolean false when the pool is unknown
---@return {failed: integer, errors: table[]}|string
function goroutine.pool_wait(name) end

---Takes no more jobs, waits for those it has. False when the pool is unknown or closed already.
---@param name string
---@return boolean
function goroutine.pool_close(name) end

---The answer of `pool_stats`.
---@class goroutine.PoolStats
---@field name string
---@field workers integer
---@field active integer jobs that run
---@field queued integer jobs that wait
---@field submitted integer
---@field completed integer
---@field failed integer
---@field wait_avg number ms in the queue
---@field wait_max number
---@field run_avg number ms of running
---@field run_max number

---What a pool has done. nil when it is unknown; a closed one is still known.
---
---```lua
---goroutine.pool_create("counted", { workers = 3 })
---goroutine.pool_submit("counted", function() end)
---goroutine.pool_wait("counted")
---local stats = goroutine.pool_stats("counted")
---assert(stats.workers == 3 and stats.submitted == 1 and stats.completed == 1 and stats.failed == 0)
---assert(stats.active == 0 and stats.queued == 0)
---goroutine.pool_close("counted")
---```
---@param name string
---@return goroutine.PoolStats?
function goroutine.pool_stats(name) end

---Waits for one job: as `await`. False, "job not found: ID" for an unknown one.
---
---```lua
---goroutine.pool_create("answers")
---local id = goroutine.pool_submit("answers", function(n) return n * 2 end, 21)
---local success, answer = goroutine.pool_result("answers", id)
---assert(success and answer == 42)
---goroutine.pool_close("answers")
---```
---@param name string
---@param id string what `pool_submit` returned
---@return boolean success
---@return any ...
function goroutine.pool_result(name, id) end

---@class goroutine.Channel
local Channel = {}

---A queue through which goroutines hand values on. With a capacity of 0 a send waits for its receiver. First in, first
---out, and fair. A direction restricts what may be done with it.
---
---```lua
---local numbers = goroutine.channel()
---goroutine.spawn(function()
---  for i = 1, 3 do numbers:send(i) end
---  numbers:close()
---end)
---local sum = 0
---for n in numbers:iter() do sum = sum + n end
---assert(sum == 6)
---```
---@param capacity? integer default 0
---@param direction? "bidirectional"|"send"|"receive"
---@return goroutine.Channel
function goroutine.channel(capacity, direction) end

---Any value, also nil. True; false, "send on closed channel"; false, "timeout exceeded" after `ms`.
---@param value any
---@param ms? number
---@return boolean
---@return string? problem
function Channel:send(value, ms) end

---The next value and true; nil, false when the channel is closed and empty; nil, false, "timeout exceeded" after `ms`.
---
---```lua
---local ch = goroutine.channel(2)
---ch:send(nil)
---ch:close()
---local value, ok = ch:receive()
---assert(value == nil and ok == true)
---value, ok = ch:receive()
---assert(value == nil and ok == false)
---```
---@param ms? number
---@return any value
---@return boolean ok
---@return string? problem
function Channel:receive(ms) end

---As `send`, but false instead of waiting.
---@param value any
---@return boolean
---@return string? problem
function Channel:try_send(value) end

---As `receive`, but nil, false instead of waiting.
---@return any value
---@return boolean ok
function Channel:try_receive() end

---Nothing more can be sent; what is in the channel can still be received. Waiting receivers and senders are told.
---@return boolean false when it was closed
---@return string? problem
function Channel:close() end

---@return boolean
function Channel:is_closed() end

---Values in the channel.
---@return integer
function Channel:len() end

---@return integer
function Channel:cap() end

---For a loop over all values until the channel is closed. A nil that was sent ends the loop too.
---@return fun(): any
function Channel:iter() end

---Calls `fn(value)` for all values until the channel is closed, nil values too.
---
---```lua
---local ch, count = goroutine.channel(3), 0
---for i = 1, 3 do ch:send(i) end
---ch:close()
---ch:range(function() count = count + 1 end)
---assert(count == 3)
---```
---@param fn fun(value: any)
function Channel:range(fn) end

---The same as `channel:send(value, ms)`.
---@param channel goroutine.Channel
---@param value any
---@param ms? number
---@return boolean
---@return string? problem
function goroutine.channel_send(channel, value, ms) end

---The same as `channel:receive(ms)`.
---@param channel goroutine.Channel
---@param ms? number
---@return any value
---@return boolean ok
---@return string? problem
function goroutine.channel_receive(channel, ms) end

---The same as `channel:close()`.
---@param channel goroutine.Channel
---@return boolean
---@return string? problem
function goroutine.channel_close(channel) end

---The same as `channel:len()`.
---@param channel goroutine.Channel
---@return integer
function goroutine.channel_len(channel) end

---The same as `channel:cap()`.
---@param channel goroutine.Channel
---@return integer
function goroutine.channel_cap(channel) end

---One thing to wait for: receive, send, or (at most once) what to do when nothing is ready.
---@class goroutine.Case
---@field channel? goroutine.Channel
---@field receive? true the handler gets the value and whether there was one
---@field send? any what to send; the handler gets true, or false and "send on closed channel"
---@field default? true
---@field handler? function

---Waits until one case can go on, does it, calls its handler here and returns its index and the handler's values. Of
---several that are ready one is chosen at random. With a default it never waits.
---
---```lua
---local ch = goroutine.channel(1)
---assert(goroutine.select({ { channel = ch, receive = true }, { default = true } }) == 2)
---ch:send("hello")
---local index, text = goroutine.select({
---  { channel = ch, receive = true, handler = function(value, ok) return value .. "!" end },
---})
---assert(index == 1 and text == "hello!")
---```
---@param cases goroutine.Case[]
---@return integer index
---@return any ...
function goroutine.select(cases) end

---As `select`, for at most `ms`: true, nil when the time was over; false and the index of the case that went on; false
---and a message when its handler raised.
---
---```lua
---local ch = goroutine.channel(1)
---local timed_out = goroutine.select_timeout(5, { { channel = ch, receive = true } })
---assert(timed_out == true)
---ch:send(1)
---local late, index = goroutine.select_timeout(5, { { channel = ch, receive = true } })
---assert(late == false and index == 1)
---```
---@param ms number
---@param cases goroutine.Case[]
---@return boolean timed_out
---@return integer|string|nil
function goroutine.select_timeout(ms, cases) end

---@class goroutine.Mutex
local Mutex = {}

---A lock, for what spans a wait. It is handed to who waited longest.
---
---```lua
---local lock, balance = goroutine.mutex(), 0
---local wg = goroutine.wait_group()
---for _ = 1, 5 do
---  wg:go(function()
---    lock:with(function()
---      local before = balance
---      goroutine.sleep(1)
---      balance = before + 1
---    end)
---  end)
---end
---wg:wait()
---assert(balance == 5)
---```
---@return goroutine.Mutex
function goroutine.mutex() end

function Mutex:lock() end

---True when it was free and is yours now.
---@return boolean
function Mutex:try_lock() end

---Raises when it is not locked.
function Mutex:unlock() end

---Calls `fn(...)` with the lock held and returns its values. An error goes on after the lock was released.
---@param fn function
---@param ... any
---@return any ...
function Mutex:with(fn, ...) end

---@class goroutine.Semaphore
local Semaphore = {}

---A lock for up to `n` at once, first come, first served.
---
---```lua
---local slots = goroutine.semaphore(2)
---slots:with(function() assert(slots:available() == 1) end)
---assert(slots:available() == 2 and slots:capacity() == 2)
---```
---@param n integer more than 0
---@return goroutine.Semaphore
function goroutine.semaphore(n) end

function Semaphore:acquire() end

---True when there was a free place and it is yours now.
---@return boolean
function Semaphore:try_acquire() end

---Raises without an acquire before it.
function Semaphore:release() end

---Free places now.
---@return integer
function Semaphore:available() end

---@return integer
function Semaphore:capacity() end

---Calls `fn(...)` with a place taken and returns its values. An error goes on after the place was released.
---@param fn function
---@param ... any
---@return any ...
function Semaphore:with(fn, ...) end

---Counts of this task: `spawned`, `finished`, `failed` goroutines, `switches` between them, and now: `live`, `ready`,
---`waiting`.
---
---```lua
---local before = goroutine.stats().spawned
---goroutine.spawn(function() end):await()
---assert(goroutine.stats().spawned == before + 1)
---```
---@return table<string, number>
function goroutine.stats() end
