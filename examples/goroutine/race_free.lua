-- sloth run examples/goroutine/race_free.lua
--
-- Goroutines of a task share its variables, and control changes only where a call waits. So a line like
-- `count = count + 1` needs no lock. A lock is for something that spans a wait.

task("race_free")
    :description("shared variables, with and without a lock")
    :command(function()
        local items = {}
        for i = 1, 100 do items[i] = i end

        -- Each goroutine writes its own element: no lock.
        local results, count = {}, 0
        local wg = goroutine.wait_group()
        wg:add(#items)
        for i, item in ipairs(items) do
            goroutine.spawn(function()
                goroutine.sleep(5)
                results[i] = item * item
                count = count + 1
                wg:done()
            end)
        end
        wg:wait()
        assert(count == 100 and results[7] == 49)

        -- Read, wait, write: without the lock the waits would overlap and updates would be lost.
        local balance, lock = 0, goroutine.mutex()
        local deposits = goroutine.wait_group()
        for _ = 1, 20 do
            deposits:go(function()
                lock:with(function()
                    local before = balance
                    goroutine.sleep(1) -- say, a question to a database
                    balance = before + 10
                end)
            end)
        end
        deposits:wait()
        log.info("count " .. count .. ", balance " .. balance)
        return balance == 200
    end)
    :build()
