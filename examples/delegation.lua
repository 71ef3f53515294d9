-- Tasks on an agent. In one terminal, until Ctrl-C:
--
--   sloth agent start --name worker
--
-- In another:
--
--   sloth run delegation.lua             builds there, reports here
--   sloth run delegation.lua --local     the same without an agent

local sources = { "parser", "printer", "main" }

-- What a task uses travels with it.
local function words(text)
    local count = 0
    for _ in text:gmatch("%S+") do count = count + 1 end
    return count
end

task("build")
    :description("several pieces at once")
    :delegate_to("worker")
    :env({ FLAVOUR = "release" })
    :timeout("1m")
    :command(function(this)
        local directory = fs.tmpdir("pieces-")
        local wg = goroutine.wait_group()
        for _, name in ipairs(sources) do
            wg:add(1)
            goroutine.spawn(function()
                fs.write(fs.join(directory, name .. ".txt"), name .. " built as " .. os.getenv("FLAVOUR"))
                wg:done()
            end)
        end
        wg:wait()
        local total = 0
        for _, name in ipairs(sources) do total = total + words(fs.read(fs.join(directory, name .. ".txt"))) end
        fs.rm_r(directory)
        print("built " .. #sources .. " pieces" .. (this.agent ~= "" and " on " .. this.agent or ""))
        return true, nil, { pieces = #sources, words = total }
    end)
    :build()

task("flaky")
    :description("retries work there too")
    :delegate_to("worker")
    :retries(2, { strategy = "fixed", delay = "10ms" })
    :command(function(this)
        if this.attempt < 2 then error("not the first time") end
        print("attempt " .. this.attempt .. " worked")
    end)
    :build()

task("report")
    :description("here, with what came back")
    :depends_on("build", "flaky")
    :command(function(this, params, deps)
        print(deps.build.pieces .. " pieces, " .. deps.build.words .. " words")
    end)
    :build()
