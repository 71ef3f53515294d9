-- What goroutines cost. Each task is one row of scripts/bench.sh and prints "bench NAME NUMBER": nanoseconds of one
-- operation unless goroutines.sh says otherwise. goroutines.go does the same work under the same names.

-- run(n) does n operations; a tenth of them warm up.
local function row(name, n, run)
    task(name)
        :command(function()
            run(n / 10)
            local start = time.monotonic()
            run(n)
            print(string.format("bench %s %.2f", name, (time.monotonic() - start) / n * 1e9))
        end)
        :build()
end

local function resident_kb()
    local file = assert(io.open("/proc/self/status"))
    local text = file:read("*a")
    file:close()
    return tonumber(text:match("VmRSS:%s*(%d+)"))
end

-- n goroutines with a closure that stores a result, joined by a wait group.
local function batch(n)
    local results, wg = {}, goroutine.wait_group()
    wg:add(n)
    for i = 1, n do
        goroutine.spawn(function()
            results[i] = i
            wg:done()
        end)
    end
    wg:wait()
    assert(results[1] == 1 and results[n] == n)
end

row("create_batches", 1000000, function(n)
    for _ = 1, n / 1000 do batch(1000) end
end)

row("create_live", 100000, batch)

row("yield", 2000000, function(n)
    local wg = goroutine.wait_group()
    for _ = 1, 2 do
        wg:go(function()
            for _ = 1, n / 2 do goroutine.sleep(0) end
        end)
    end
    wg:wait()
end)

row("ping_pong", 500000, function(n)
    local there, back = goroutine.channel(), goroutine.channel()
    goroutine.spawn(function()
        for _ = 1, n do back:send((there:receive())) end
    end)
    for i = 1, n do
        there:send(i)
        back:receive()
    end
end)

local function messages(capacity, n)
    local channel, sum = goroutine.channel(capacity), 0
    goroutine.spawn(function()
        for i = 1, n do channel:send(i) end
        channel:close()
    end)
    while true do
        local value, ok = channel:receive()
        if not ok then break end
        sum = sum + value
    end
    assert(sum == n * (n + 1) / 2)
end

row("one_way", 1000000, function(n) messages(0, n) end)
row("buffered", 5000000, function(n) messages(1024, n) end)

row("async_await", 500000, function(n)
    for i = 1, n do
        local ok, value = goroutine.await(goroutine.async(function() return i end))
        assert(ok and value == i)
    end
end)

row("mutex", 800000, function(n)
    local lock, wg, count = goroutine.mutex(), goroutine.wait_group(), 0
    for _ = 1, 8 do
        wg:go(function()
            for _ = 1, n / 8 do
                lock:lock()
                count = count + 1
                goroutine.sleep(0)
                lock:unlock()
            end
        end)
    end
    wg:wait()
    assert(count == n)
end)

row("select_ready", 1000000, function(n)
    local a, b = goroutine.channel(1), goroutine.channel(1)
    local cases = { { channel = a, receive = true }, { channel = b, receive = true } }
    for i = 1, n do
        a:send(i)
        goroutine.select(cases)
    end
end)

row("select_blocking", 500000, function(n)
    local a, b = goroutine.channel(), goroutine.channel()
    local cases = { { channel = a, receive = true }, { channel = b, receive = true } }
    goroutine.spawn(function()
        for i = 1, n / 2 do
            a:send(i)
            b:send(i)
        end
    end)
    for _ = 1, n do goroutine.select(cases) end
end)

row("timeout", 300000, function(n)
    local count = 0
    for _ = 1, n do
        assert(goroutine.timeout(1000, function() count = count + 1 end))
    end
    assert(count == n)
end)

local function pool(workers, n)
    local done = 0
    goroutine.pool_create("bench", { workers = workers })
    for _ = 1, n do
        goroutine.pool_submit("bench", function() done = done + 1 end)
    end
    goroutine.pool_wait("bench")
    goroutine.pool_close("bench")
    assert(done == n)
end

row("pool", 500000, function(n) pool(4, n) end)

-- Milliseconds for all 10,000.
task("pool_10000")
    :command(function()
        local start = time.monotonic()
        pool(10, 10000)
        print(string.format("bench pool_10000 %.2f", (time.monotonic() - start) * 1000))
    end)
    :build()

-- Milliseconds for all 100,000.
task("sleepers")
    :command(function()
        local wg, start = goroutine.wait_group(), time.monotonic()
        for _ = 1, 100000 do
            wg:go(function() goroutine.sleep(10) end)
        end
        wg:wait()
        print(string.format("bench sleepers %.2f", (time.monotonic() - start) * 1000))
    end)
    :build()

-- Bytes of resident memory for each of n goroutines that wait for a channel.
local function memory(name, n)
    task(name)
        :command(function()
            local gate, wg, sum = goroutine.channel(), goroutine.wait_group(), 0
            collectgarbage()
            local before = resident_kb()
            wg:add(n)
            for i = 1, n do
                goroutine.spawn(function()
                    gate:receive()
                    sum = sum + i
                    wg:done()
                end)
            end
            goroutine.sleep(0)
            local after = resident_kb()
            gate:close()
            wg:wait()
            assert(sum == n * (n + 1) / 2)
            print(string.format("bench %s %.0f", name, (after - before) * 1024 / n))
        end)
        :build()
end

memory("memory_100k", 100000)
memory("memory_1m", 990000) -- the limit of a task is 1,000,000, its own goroutine included

-- Milliseconds: the longest pause that a loop making garbage sees beside 10,000 waiting goroutines.
task("gc_pause")
    :command(function()
        local gate, longest = goroutine.channel(), 0
        for _ = 1, 10000 do
            goroutine.spawn(function() gate:receive() end)
        end
        goroutine.sleep(0)
        local last, stop = time.monotonic(), time.monotonic() + 1
        local kept = {}
        while last < stop do
            for i = 1, 50 do kept[i] = { i, tostring(i) } end
            local now = time.monotonic()
            if now - last > longest then longest = now - last end
            last = now
        end
        gate:close()
        print(string.format("bench gc_pause %.3f", longest * 1000))
    end)
    :build()
