-- sloth run examples/goroutine/ci_pipeline.lua
--
-- Build, test, deploy; the parts of a stage run in parallel, a stage begins when the one before it is done. It compiles
-- the two C programs of ci_pipeline/, runs them, and deploys by copying them into one directory per environment.

task("ci_pipeline")
    :description("CI/CD pipeline with parallel stages")
    :timeout("5m")
    :command(function(this, params)
        local sources = fs.join(this.workdir.get(), "ci_pipeline")
        local out = params.out or assert(fs.tmpdir("ci-"))
        local bin = fs.join(out, "bin")
        assert(fs.mkdir(bin))

        log.info("Stage 1: build")
        local wg = goroutine.wait_group()
        for _, program in ipairs({ "frontend", "backend" }) do
            -- go() = add(1), spawn, and done() at the end, also after an error.
            wg:go(function()
                exec.run({ "cc", "-O1", "-o", fs.join(bin, program), fs.join(sources, program .. ".c") }, { check = true })
                log.success("built " .. program)
            end)
        end
        wg:wait()

        log.info("Stage 2: tests")
        local suites = {
            unit = "test $(./backend add 2 3) = 5",
            negative = "test $(./backend add -2 -3) = -5",
            usage = "! ./backend add two three 2>/dev/null",
            frontend = "./frontend | grep -q '<h1>'",
        }
        goroutine.pool_create("tests", { workers = 3 })
        for suite, command in pairs(suites) do
            goroutine.pool_submit("tests", function()
                exec.run(command, { workdir = bin, check = true, timeout = "30s" })
                log.success("suite " .. suite .. " passed")
            end)
        end
        local _, report = goroutine.pool_wait("tests")
        goroutine.pool_close("tests")
        if report.failed > 0 then return false, report.failed .. " test suites failed" end

        log.info("Stage 3: deploy")
        local environments, handles = { "dev", "staging", "prod" }, {}
        for i, environment in ipairs(environments) do
            handles[i] = goroutine.async(function()
                local target = fs.join(out, environment)
                assert(fs.mkdir(target))
                for _, program in ipairs(assert(fs.ls(bin))) do
                    assert(fs.copy(fs.join(bin, program), fs.join(target, program)))
                end
                return target
            end)
        end
        local all_deployed = true
        for i, result in ipairs(goroutine.await_all(handles)) do
            if result.success then
                log.success("deployed to " .. result.values[1])
            else
                all_deployed = false
                log.error("deployment to " .. environments[i] .. " failed: " .. result.error)
            end
        end
        if not params.out then fs.rm_r(out) end
        if not all_deployed then return false, "not everything was deployed" end
        log.info("Pipeline complete")
        return true
    end)
    :build()
