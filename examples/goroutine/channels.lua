-- sloth run examples/goroutine/channels.lua
--
-- A pipeline of goroutines that hand values on through channels: numbers -> squares -> their sum.

local function numbers(n)
    local out = goroutine.channel(8)
    goroutine.spawn(function()
        for i = 1, n do out:send(i) end
        out:close() -- tells the receivers that nothing more comes
    end)
    return out
end

local function squares(input, workers)
    local out = goroutine.channel()
    local wg = goroutine.wait_group()
    for _ = 1, workers do
        wg:go(function()
            for n in input:iter() do
                goroutine.sleep(1)
                out:send(n * n)
            end
        end)
    end
    goroutine.spawn(function()
        wg:wait()
        out:close()
    end)
    return out
end

task("channels")
    :description("a pipeline of goroutines")
    :command(function()
        local sum, count = 0, 0
        for square in squares(numbers(100), 4):iter() do
            sum, count = sum + square, count + 1
        end
        log.info("sum of " .. count .. " squares: " .. sum)
        return sum == 338350
    end)
    :build()
