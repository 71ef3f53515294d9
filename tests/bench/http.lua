-- http.get to a server that answers after 100 ms, by a name that this process has not resolved: once, and 1,000 times
-- at once. Prints "bench NAME MILLISECONDS". The port is `--set port=N`.
local function gets(name, n)
    task(name)
        :command(function()
            local url = "http://localhost:" .. values.port .. "/delay/100"
            local wg, good, start = goroutine.wait_group(), 0, time.monotonic()
            for _ = 1, n do
                wg:go(function()
                    if http.get(url).status == 200 then good = good + 1 end
                end)
            end
            wg:wait()
            print(string.format("bench %s %.2f", name, (time.monotonic() - start) * 1000))
            return good == n, good .. " of " .. n .. " answers were good"
        end)
        :build()
end

gets("one", 1)
gets("thousand", 1000)
