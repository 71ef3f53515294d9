-- sloth run examples/hello.lua [-p name=Ana]
--
-- Two tasks look around at the same time; the third waits for both and greets you with what they found.

task("clock")
    :description("what time is it?")
    :command(function()
        return true, nil, { hour = tonumber(time.format(time.now(), "%H")) }
    end)
    :build()

task("machine")
    :description("where are we?")
    :command(function()
        local name = exec.run("uname -n", { stream = false })
        if not name.success then return false, name.stderr end
        return true, nil, { name = strings.trim(name.stdout) }
    end)
    :build()

task("hello")
    :description("says hello")
    :depends_on("clock", "machine")
    :params({ name = os.getenv("USER") or "friend" })
    :command(function(this, params, deps)
        local hour = deps.clock.hour
        local greeting = hour < 12 and "Good morning" or hour < 18 and "Good afternoon" or "Good evening"
        print(string.format("%s, %s! This is %s.", greeting, params.name, deps.machine.name))

        -- A sloth is in no hurry, but three of them yawn at the same time.
        goroutine.spawn_many(3, function(id)
            goroutine.sleep(100)
            print("sloth " .. id .. " yawns")
        end)
        return true
    end)
    :build()
