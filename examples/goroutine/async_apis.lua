-- sloth run examples/goroutine/async_apis.lua
-- sloth run examples/goroutine/async_apis.lua --set 'apis=["https://api.example.com/users","https://..."]'
--
-- Ask several APIs at once and use all answers. The time taken is that of the slowest one, not their sum.
-- Without URLs the answers are made up here, each after a while, so that the example runs anywhere.

local apis = values.apis or { "users", "orders", "stock" }

local function fetch(api)
    if api:find("://", 1, true) then
        local response = http.get(api, { timeout = "10s" }) -- raises when nobody answers
        if not response.success then error(api .. " answered " .. response.status, 0) end
        return response.body
    end
    goroutine.sleep(200)
    return json.encode({ api = api, items = #api })
end

task("async_apis")
    :description("fetch from several APIs at the same time")
    :command(function()
        local start = time.monotonic()
        local handles = {}
        for i, api in ipairs(apis) do
            handles[i] = goroutine.async(function() return fetch(api) end)
        end

        local failed = 0
        for i, result in ipairs(goroutine.await_all(handles)) do
            if result.success then
                log.info(string.format("%s: %d bytes", apis[i], #result.values[1]))
            else
                failed = failed + 1
                log.error(string.format("%s: %s", apis[i], result.error))
            end
        end

        log.info(string.format("%d answers in %d ms", #apis - failed, (time.monotonic() - start) * 1000))
        if failed > 0 then return false, failed .. " APIs did not answer" end
        return true
    end)
    :build()
