-- sloth run examples/goroutine/etl.lua
--
-- Extract, transform, load: eight sources, eight workers. `extract`, `transform` and `load` are globals of this file;
-- the task takes them along, also the one that has the name of a Lua built-in.

local sources = {
    "database1", "database2", "api1", "api2",
    "file1.csv", "file2.csv", "s3://bucket1", "s3://bucket2",
}

function extract(source)
    goroutine.sleep(50) -- a database or a network would make us wait as well
    local rows = {}
    for id = 1, 100 do rows[id] = { id = id, source = source, amount = id * 3 % 17 } end
    return rows
end

function transform(rows)
    local kept = {}
    for _, row in ipairs(rows) do
        if row.amount > 0 then kept[#kept + 1] = row.source .. "," .. row.id .. "," .. row.amount end
    end
    return kept
end

function load(lines, path)
    assert(fs.append(path, table.concat(lines, "\n") .. "\n"))
end

task("etl")
    :description("parallel ETL of several sources")
    :command(function()
        local dir = assert(fs.tmpdir("etl-"))
        local warehouse = fs.join(dir, "warehouse.csv")

        goroutine.pool_create("etl", { workers = 8 })
        for _, source in ipairs(sources) do
            goroutine.pool_submit("etl", function()
                log.info("extracting " .. source)
                local rows = extract(source)
                load(transform(rows), warehouse)
                log.success(source .. " done")
            end)
        end
        goroutine.pool_wait("etl")

        local stats = goroutine.pool_stats("etl")
        goroutine.pool_close("etl")
        local lines = #strings.lines(assert(fs.read(warehouse)))
        assert(fs.rm_r(dir))
        log.info(string.format("ETL complete: %d/%d sources, %d rows", stats.completed, #sources, lines))
        if stats.failed > 0 then return false, stats.failed .. " sources failed" end
        return true, nil, { rows = lines }
    end)
    :build()
