// The tasks of the Portuguese goroutine page, as written there, load in this language.

#include <catch2/catch.hpp>

#include "tests/unit/dsl/dsl_fixture.h"

namespace sloth {
namespace {

// Functions that the page assumes.
constexpr const char* kAssumed = R"(
function extract(source) return source end
function transform(data) return data end
function load(data) return data end
function build_frontend() return true end
build_backend, build_mobile = build_frontend, build_frontend
function run_tests(suite) end
function deploy_to_env(env) end
)";

constexpr const char* kExample = R"(
local goroutine = require("goroutine")

local my_task = task("parallel_example")
    :command(function(this, params)
        -- Spawn 5 goroutines
        goroutine.spawn_many(5, function(id)
            log.info("Worker " .. id .. " executando")
        end)
        
        return true
    end)
    :delegate_to("mariguica")
    :build()
)";

constexpr const char* kEtl = R"(
local etl_task = task("parallel_etl")
    :description("ETL paralelo de múltiplas fontes")
    :command(function(this, params)
        local goroutine = require("goroutine")
        
        goroutine.pool_create("etl", { workers = 8 })
        local sources = { "database1", "database2" }
        for _, source in ipairs(sources) do
            goroutine.pool_submit("etl", function()
                log.info("Extraindo de " .. source)
                local data = extract(source)
                local transformed = transform(data)
                load(transformed)
                log.info("✅ " .. source .. " concluído")
            end)
        end
        goroutine.pool_wait("etl")
        local stats = goroutine.pool_stats("etl")
        log.info(string.format("ETL completo: %d/%d sucesso", 
            stats.completed, stats.completed + stats.failed))
        goroutine.pool_close("etl")
        return true
    end)
    :delegate_to("data-node")
    :build()
)";

constexpr const char* kHealthCheck = R"(
local health_check_task = task("distributed_health_check")
    :description("Health check de múltiplos serviços")
    :command(function(this, params)
        local goroutine = require("goroutine")
        local http = require("http")
        local handles = {}
        for i, service in ipairs({ "https://api1.example.com/health" }) do
            handles[i] = goroutine.async(function()
                local success, response = goroutine.timeout(3000, function()
                    return http.get(service)
                end)
                return { service = service, healthy = success, response = response }
            end)
        end
        local results = goroutine.await_all(handles)
        return #results > 0
    end)
    :delegate_to("monitoring")
    :build()
)";

constexpr const char* kPipeline = R"(
local ci_pipeline_task = task("parallel_ci")
    :description("Pipeline CI/CD com stages paralelos")
    :command(function(this, params)
        local goroutine = require("goroutine")
        local wg1 = goroutine.wait_group()
        wg1:add(3)
        local build_results = {}
        goroutine.spawn(function()
            build_results.frontend = build_frontend()
            wg1:done()
        end)
        wg1:wait()
        for _, suite in ipairs({ "unit", "integration" }) do
            goroutine.pool_submit("tests", function() run_tests(suite) end)
        end
        local deploy_handles = {}
        for i, env in ipairs({ "dev", "staging", "prod" }) do
            deploy_handles[i] = goroutine.async(function()
                return deploy_to_env(env)
            end)
        end
        return true
    end)
    :delegate_to("ci-runner")
    :timeout("30m")
    :build()
)";

TEST_CASE("the tasks of the goroutine page load") {
  DslFixture fixture;
  const Workflow workflow =
      fixture.loaded(std::string(kAssumed) + kExample + kEtl + kHealthCheck + kPipeline);
  REQUIRE(workflow.warnings == std::vector<std::string>{});
  REQUIRE(workflow.tasks.size() == 4);
  CHECK(workflow.tasks[0].name == "parallel_example");
  CHECK(workflow.tasks[0].delegate_to == std::vector<std::string>{"mariguica"});
  CHECK(workflow.tasks[1].description == "ETL paralelo de múltiplas fontes");
  CHECK(workflow.tasks[1].delegate_to == std::vector<std::string>{"data-node"});
  CHECK(workflow.tasks[2].name == "distributed_health_check");
  CHECK(workflow.tasks[3].timeout == std::chrono::minutes(30));
  for (const TaskSpec& task : workflow.tasks) CHECK(std::holds_alternative<PortableFunction>(task.command));
}

}  // namespace
}  // namespace sloth
