-- sloth run examples/goroutine/data_processing.lua [-p files=40] [-p workers=10]
--
-- Many files through a pool: at most `workers` at a time, every one of them processed.

task("data_processing")
    :description("count the words of many files in parallel")
    :params({ files = 40, workers = 10 })
    :command(function(this, params)
        local count, workers = tonumber(params.files), tonumber(params.workers)

        -- Something to process.
        local dir = assert(fs.tmpdir("data-"))
        local files = {}
        for i = 1, count do
            files[i] = fs.join(dir, string.format("input-%03d.txt", i))
            assert(fs.write(files[i], ("word "):rep(i)))
        end

        local words = {}
        goroutine.pool_create("fileprocessor", { workers = workers })
        for _, file in ipairs(files) do
            goroutine.pool_submit("fileprocessor", function()
                local text = assert(fs.read(file)) -- waits: meanwhile other jobs run
                words[file] = #strings.words(text)
                assert(fs.write(file .. ".count", words[file] .. "\n"))
            end)
        end
        goroutine.pool_wait("fileprocessor")

        local stats = goroutine.pool_stats("fileprocessor")
        goroutine.pool_close("fileprocessor")

        local total = 0
        for _, n in pairs(words) do total = total + n end
        log.info(string.format("%d files processed, %d failed, %d words", stats.completed, stats.failed, total))
        assert(fs.rm_r(dir))
        if stats.failed > 0 then return false, stats.failed .. " files failed" end
        return true, nil, { words = total }
    end)
    :build()
