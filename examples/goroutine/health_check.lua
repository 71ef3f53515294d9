-- sloth run examples/goroutine/health_check.lua --set 'services=["https://example.com","http://127.0.0.1:8080/health"]'
-- or, with a file of values:  services: [ ... ]  and  sloth run ... -v services.yaml
--
-- Is every service up? All are asked at once, each has three seconds, and the task fails when one is not healthy.
-- Here healthy means that it answered with a status of 200 to 299.

local services = values.services or { "http://127.0.0.1:8080/health", "http://127.0.0.1:9090/health" }

task("health_check")
    :description("health check of several services")
    :params({ limit_ms = 3000 })
    :command(function(this, params)
        local handles = {}
        for i, service in ipairs(services) do
            handles[i] = goroutine.async(function()
                local answered, response = goroutine.timeout(tonumber(params.limit_ms), function()
                    return http.get(service)
                end)
                if not answered then return false, response end
                return response.success, "status " .. response.status
            end)
        end

        local unhealthy = {}
        for i, result in ipairs(goroutine.await_all(handles)) do
            local healthy, detail = false, result.error
            if result.success then healthy, detail = unpack(result.values) end
            if healthy then
                log.success(services[i] .. ": " .. detail)
            else
                unhealthy[#unhealthy + 1] = services[i]
                log.warn(services[i] .. ": " .. tostring(detail))
            end
        end

        log.info(string.format("Health check: %d/%d services healthy", #services - #unhealthy, #services))
        if #unhealthy > 0 then return false, "not healthy: " .. table.concat(unhealthy, ", ") end
        return true
    end)
    :build()
