-- sloth run examples/goroutine/timeouts.lua
--
-- A time limit ends what it limits: a sleep, a command with its children, and a loop that would never stop.

task("timeouts")
    :description("three things that take too long, and one that does not")
    :command(function()
        local function try(what, fn)
            local success, result = goroutine.timeout(200, fn)
            log.info(string.format("%-8s success=%s, result=%s", what, tostring(success), tostring(result)))
            return success
        end

        local in_time = try("quick", function()
            goroutine.sleep(10)
            return "done"
        end)
        local slept = try("sleep", function() goroutine.sleep(60000) end)
        local ran = try("command", function() exec.run("sleep 60") end)
        local looped = try("loop", function()
            while true do end
        end)

        assert(in_time and not slept and not ran and not looped)

        -- A limit for the whole task is :timeout("30s"); one for a command alone is an option of exec.run:
        assert(exec.run("sleep 60", { timeout = "200ms" }).timed_out)
        return true
    end)
    :timeout("30s")
    :build()
