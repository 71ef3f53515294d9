-- sloth run examples/goroutine/select.lua
--
-- select waits for whichever channel is ready first; here for results, until told to quit.

task("select")
    :description("several channels, one waiting place")
    :command(function()
        local results, quit = goroutine.channel(), goroutine.channel()

        goroutine.spawn(function()
            for i = 1, 5 do
                goroutine.sleep(10)
                results:send("result " .. i)
            end
            quit:close()
        end)

        local received, running = 0, true
        while running do
            goroutine.select({
                { channel = results, receive = true, handler = function(value)
                    received = received + 1
                    log.info(value)
                end },
                { channel = quit, receive = true, handler = function()
                    running = false
                end },
            })
        end

        -- With a default, select does not wait at all.
        local chosen = goroutine.select({
            { channel = results, receive = true },
            { default = true },
        })
        assert(chosen == 2)

        -- With a limit, it waits no longer than that.
        local timed_out = goroutine.select_timeout(50, { { channel = results, receive = true } })
        log.info("received " .. received .. ", then timed out: " .. tostring(timed_out))
        return received == 5 and timed_out
    end)
    :build()
