// Every fenced block of modules/goroutine.pt.md runs as written to the outcome it illustrates. Around a block
// stand only the functions and variables that it assumes; a block of plain statements becomes the command of
// a task.
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/docs/fenced_blocks.h"
#include "tests/docs/sandbox.h"
#include "tests/support/http_server.h"

using Catch::Contains;
using sloth::testing::ClosedPort;
using sloth::testing::fenced_blocks;
using sloth::testing::FencedBlock;
using sloth::testing::HttpServer;
using sloth::testing::lines_of;
using sloth::testing::link_targets;
using sloth::testing::replaced;
using sloth::testing::Run;
using sloth::testing::Sandbox;
using sloth::testing::source_text;
using sloth::testing::trimmed;

namespace {

const char kDocument[] = "modules/goroutine.pt.md";

// `before` defines what the statements assume, inside the task; `after` looks at what they did.
std::string as_task(const std::string& before, const std::string& statements, const std::string& after) {
  return "task('block'):command(function(this, params)\n" + before + "\n" + statements + "\n" + after +
         "\nend):build()\n";
}

Run run(const std::string& file) { return Sandbox().run(file); }

void succeeds(const Run& result) {
  INFO(result.output);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.output, Contains("1 succeeded"));
}

// Fails as a task does, with that message.
void fails(const Run& result, const std::string& message) {
  INFO(result.output);
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.output, Contains(message));
}

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Parts of a block that stand apart by an empty line.
std::vector<std::string> paragraphs(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const std::string& line : lines_of(text)) {
    if (trimmed(line).empty()) {
      parts.emplace_back();
    } else {
      parts.back() += line + "\n";
    }
  }
  return parts;
}

void parallel_data(const FencedBlock& block) {
  succeeds(run(as_task(R"(
    local files, processed, at_once, most = {}, {}, 0, 0
    for i = 1, 100 do files[i] = 'file' .. i end
    local function process_file(file)
      at_once = at_once + 1
      most = math.max(most, at_once)
      goroutine.sleep(1)
      at_once = at_once - 1
      processed[file] = true
    end)",
                       block.text, R"(
    for _, file in ipairs(files) do assert(processed[file], file) end
    assert(most == 10, most)
    assert(goroutine.pool_stats('fileprocessor').completed == 100)
    goroutine.pool_close('fileprocessor'))")));
}

void async_operations(const FencedBlock& block) {
  const std::string apis = R"(
    local start = time.monotonic()
    local function fetch_api1() goroutine.sleep(300) return 'one' end
    local function fetch_api2() goroutine.sleep(300) return 'two', 2 end)";
  succeeds(run(
      as_task(apis + "\nlocal function fetch_api3() goroutine.sleep(300) return 'three' end", block.text, R"(
    assert(#results == 3)
    for i, word in ipairs({'one', 'two', 'three'}) do
      assert(results[i].success and results[i].values[1] == word)
    end
    assert(results[2].values[2] == 2)
    assert(time.monotonic() - start < 0.8, 'one after the other'))")));
  succeeds(run(as_task(apis + "\nlocal function fetch_api3() error('api3 is down') end", block.text, R"(
    assert(results[1].success and results[2].success and not results[3].success)
    assert(results[3].error:find('api3 is down')))")));
}

void synchronisation(const FencedBlock& block) {
  const std::string work = R"(
    local finished = {}
    local function process_data() goroutine.sleep(1) finished[#finished + 1] = 'processed' end
    local function upload_results() finished[#finished + 1] = 'uploaded' end)";
  succeeds(run(as_task(work + R"(
    local function download_file() goroutine.sleep(20) finished[#finished + 1] = 'downloaded' end)",
                       block.text, R"(
    assert(table.concat(finished, ' ') == 'uploaded processed downloaded'))")));
  // One that raises before its done(): that error is told, before the deadlock that follows from it.
  const Run raised =
      run(as_task(work + "\nlocal function download_file() error('disk full') end", block.text, ""));
  fails(raised, "disk full");
  CHECK_THAT(raised.output, Contains("all goroutines are waiting (deadlock)"));
  CHECK(raised.output.find("disk full") < raised.output.find("all goroutines are waiting"));
}

void timeout(const FencedBlock& block) {
  const Run quick = run(as_task("local function expensive_operation() goroutine.sleep(5) return 42 end",
                                block.text, "assert(success == true and result == 42)"));
  succeeds(quick);
  CHECK_THAT(quick.output, !Contains("timed out"));
  // A slow one, here one that never ends: a limit of five seconds would make the test wait, so it is made
  // shorter.
  const std::string shorter = replaced(block.text, "timeout(5000,", "timeout(100,");
  for (const char* slow : {"goroutine.sleep(60000)", "exec.run('sleep 60')", "while true do end"}) {
    const Run late = run(as_task("local function expensive_operation() " + std::string(slow) + " end",
                                 shorter, "assert(success == false and result == 'timeout exceeded')"));
    succeeds(late);
    CHECK_THAT(late.output, Contains("Operation timed out!"));
  }
}

void installation(const FencedBlock& block) {
  CHECK(trimmed(block.text) == "./install.sh\n");
  // That it installs is a house test of its own.
  const Run help = Sandbox().shell("exec " SLOTH_SOURCE_DIR "/install.sh --help");
  CHECK(help.exit_code == 0);
  CHECK_THAT(help.output, Contains("usage: ./install.sh"));
}

void basic_example(const FencedBlock& block) {
  const Run result = run(block.text);
  succeeds(result);
  for (int id = 1; id <= 5; ++id) {
    CHECK_THAT(result.output, Contains("[parallel_example] Worker " + std::to_string(id) + " executando"));
  }
  CHECK_THAT(result.output, Contains("--local"));
}

void etl(const FencedBlock& block) {
  // Globals of the user's, also the one named as a Lua built-in.
  const Run result = run(R"(
    function extract(source) goroutine.sleep(5) return 'rows of ' .. source end
    function transform(data) return data:upper() end
    function load(data) print('loaded ' .. data) end
)" + block.text);
  succeeds(result);
  CHECK_THAT(result.output, Contains("ETL completo: 8/8 sucesso"));
  CHECK_THAT(result.output, Contains("Extraindo de s3://bucket2") && Contains("✅ s3://bucket2 concluído"));
  CHECK_THAT(result.output, Contains("loaded ROWS OF DATABASE1") && Contains("loaded ROWS OF S3://BUCKET2"));
  CHECK_THAT(result.output, !Contains("warning"));

  const Run one_fails = run(R"(
    function extract(source) if source == 'api2' then error('api2 is down') end return source end
    function transform(data) return data end
    function load() end
)" + block.text);
  succeeds(one_fails);
  CHECK_THAT(one_fails.output, Contains("ETL completo: 7/8 sucesso") && Contains("api2 is down"));
}

void health_check(const FencedBlock& block) {
  const std::vector<std::string> services = {
      "https://api1.example.com/health", "https://api2.example.com/health", "https://api3.example.com/health",
      "https://db.example.com:5432", "https://cache.example.com:6379"};
  HttpServer server;
  const ClosedPort closed;
  // The block's addresses belong to nobody: here they are replaced by a server of this test's and a port that
  // refuses. Nothing else of the block is touched.
  const auto with_refusing = [&](const std::string& refusing) {
    std::string text = block.text;
    for (const std::string& service : services) {
      text = replaced(text, "\"" + service + "\"",
                      "\"" + (service == refusing ? closed.url() : server.url("/json")) + "\"");
    }
    return text;
  };
  const Run healthy = run(with_refusing(""));
  succeeds(healthy);
  CHECK_THAT(healthy.output, Contains("Health Check: 5/5 serviços saudáveis"));
  CHECK_THAT(healthy.output, !Contains("Serviços não saudáveis"));

  const Run one_refuses = run(with_refusing("https://db.example.com:5432"));
  fails(one_refuses, "Health Check: 4/5 serviços saudáveis");
  CHECK_THAT(one_refuses.output, Contains("Serviços não saudáveis: " + closed.url()));

  // Truly as written: without a network, and with one too, nobody answers under these names.
  const Run as_written = run(block.text);
  fails(as_written, "Health Check: 0/5 serviços saudáveis");
  for (const std::string& service : services) CHECK_THAT(as_written.output, Contains(service));
}

void ci_pipeline(const FencedBlock& block) {
  const std::string stages = R"(
    function build_frontend() goroutine.sleep(3) return 'frontend' end
    function build_backend() goroutine.sleep(2) return 'backend' end
    function build_mobile() goroutine.sleep(1) return 'mobile' end
    function run_tests(suite) goroutine.sleep(1) print('suite ' .. suite) end
)";
  const Run all =
      run(stages + "function deploy_to_env(env) print('deployed ' .. env) return env end\n" + block.text);
  succeeds(all);
  CHECK_THAT(all.output, Contains("🎉 Pipeline CI/CD completo!"));
  std::size_t at = 0;
  for (const char* said :
       {"📦 Stage 1: Build", "✅ Build concluído", "🧪 Stage 2: Tests", "Running performance tests...",
        "✅ Testes concluídos", "🚀 Stage 3: Deploy", "deployed prod", "🎉 Pipeline CI/CD completo!"}) {
    INFO(said << " in\n" << all.output);
    at = all.output.find(said, at);
    REQUIRE(at != std::string::npos);
  }

  // A suite that fails, in a pool whose results nobody looks at: not a success.
  const Run test_fails =
      run(replaced(stages, "print('suite ' .. suite)", "assert(suite ~= 'e2e', 'e2e is red')") +
          "function deploy_to_env(env) return env end\n" + block.text);
  fails(test_fails, "pool \"tests\": 1 of 5 jobs failed and nothing looked at it");
  CHECK_THAT(test_fails.output, Contains("e2e is red"));

  const Run prod_fails = run(stages + R"(
    function deploy_to_env(env) if env == 'prod' then error('no permission') end return env end
)" + block.text);
  fails(prod_fails, "❌ Deploy falhou em prod");
  CHECK_THAT(prod_fails.output, !Contains("completo!"));
}

void what_to_do(const FencedBlock& block) {
  const auto task = [](const std::string& n, const std::string& text, const std::string& awaited) {
    return as_task("goroutine.pool_create('mypool', {})\nlocal n, seen = " + n + R"(
      local function call_external_api() goroutine.sleep(1) seen = true end
      local function handle_error(problem) print('handled: ' .. tostring(problem)) end
      local handle = goroutine.async(function() )" +
                       awaited + " end)",
                   text, "assert(seen)\nassert(not goroutine.pool_close('mypool'))");
  };
  const Run good = run(task("0", block.text, "return 'fine'"));
  succeeds(good);
  CHECK_THAT(good.output, !Contains("handled") && !Contains("warning"));

  const Run handled = run(task("0", block.text, "error('broken')"));
  succeeds(handled);
  CHECK_THAT(handled.output, Contains("handled: ") && Contains("broken"));

  // With goroutines where the block leaves them out.
  succeeds(
      run(task("10",
               replaced(block.text, "-- ... spawn goroutines",
                        "for i = 1, n do goroutine.spawn(function() goroutine.sleep(i) wg:done() end) end"),
               "return 'fine'")));
}

void what_to_avoid(const FencedBlock& block) {
  // As one piece it never gets past its second paragraph: the limit ends it, as a failure of the task.
  const Run whole = run(as_task("", block.text, ""));
  fails(whole, "too many goroutines (limit 1000000)");
  CHECK(occurrences(whole.output, "warning") == 1);
  CHECK_THAT(whole.output, Contains("1000 pools were never closed"));

  const std::vector<std::string> parts = paragraphs(block.text);
  REQUIRE(parts.size() == 4);

  const Run pools = run(as_task("", parts[0], ""));
  succeeds(pools);
  CHECK(occurrences(pools.output, "warning") == 1);
  CHECK_THAT(pools.output, Contains("1000 pools were never closed"));

  const Run ignored =
      run(as_task("local handle = goroutine.async(function() error('lost') end)", parts[2], ""));
  succeeds(ignored);

  const Run leak = run(as_task("", parts[3], ""));
  succeeds(leak);
  CHECK_THAT(leak.output, Contains("pool \"leak\" (made at block.lua:4) was never closed"));
}

void queue_full(const FencedBlock& block) {
  succeeds(run(as_task(R"(
    local items, batches, ran = {}, {}, 0
    for i = 1, 250 do items[i] = i end
    local function slice(list, first, last) return { unpack(list, first, math.min(last, #list)) } end
    local function process_batch(batch)
      batches[#batches + 1] = #batch
      for _ = 1, #batch do goroutine.pool_submit('mypool', function() goroutine.sleep(0) ran = ran + 1 end) end
    end)",
                       block.text, R"(
    goroutine.pool_wait('mypool')
    assert(goroutine.pool_stats('mypool').workers == 20)
    goroutine.pool_close('mypool')
    assert(ran == 250 and table.concat(batches, ' ') == '100 100 50'))")));
  // The problem in the heading: a full queue. Submitting waits for room, nothing is dropped.
  succeeds(run(as_task("", R"(
    goroutine.pool_create('small', { workers = 10, queue = 5 })
    local ran = 0
    for _ = 1, 10000 do
      assert(goroutine.pool_submit('small', function() goroutine.sleep(0) ran = ran + 1 end))
    end
    goroutine.pool_wait('small')
    goroutine.pool_close('small')
    assert(ran == 10000))",
                       "")));
}

void hanging(const FencedBlock& block) {
  const Run quick =
      run(as_task("local function potentially_hanging_operation() end", block.text, "assert(success)"));
  succeeds(quick);
  CHECK_THAT(quick.output, !Contains("Operation hung"));
  // Ten seconds are long for a test.
  const Run hung =
      run(as_task("local function potentially_hanging_operation() while true do pcall(error) end end",
                  replaced(block.text, "timeout(10000,", "timeout(100,"), "assert(not success)"));
  succeeds(hung);
  CHECK_THAT(hung.output, Contains("Operation hung, forced timeout"));
}

void race_condition(const FencedBlock& block) {
  succeeds(run(as_task(R"(
    local items = {}
    for i = 1, 1000 do items[i] = i end
    local function process(item) goroutine.sleep(item % 7) return item * 2 end)",
                       block.text, R"(
    assert(#results == 1000)
    for i = 1, 1000 do assert(results[i] == i * 2) end)")));
}

// By the heading over the block.
const std::map<std::string, std::function<void(const FencedBlock&)>>& expectations() {
  static const std::map<std::string, std::function<void(const FencedBlock&)>> all = {
      {"1. Processamento Paralelo de Dados", parallel_data},
      {"2. Operações Assíncronas", async_operations},
      {"3. Sincronização de Tarefas", synchronisation},
      {"4. Operações com Timeout", timeout},
      {"Instalação", installation},
      {"Exemplo Básico", basic_example},
      {"Worker Pool para ETL", etl},
      {"Health Check Distribuído", health_check},
      {"Pipeline de CI/CD Paralelo", ci_pipeline},
      {"✅ Fazer", what_to_do},
      {"❌ Evitar", what_to_avoid},
      {"Problema: Pool Queue Full", queue_full},
      {"Problema: Goroutines Não Terminam", hanging},
      {"Problema: Race Condition", race_condition},
  };
  return all;
}

}  // namespace

TEST_CASE("each block of the goroutine document has one expectation and each expectation one block") {
  std::map<std::string, int> found;
  for (const FencedBlock& block : fenced_blocks(source_text(kDocument))) ++found[block.heading];
  for (const auto& [heading, count] : found) {
    INFO(heading);
    CHECK(count == 1);
    CHECK(expectations().count(heading) == 1);
  }
  CHECK(found.size() == expectations().size());
}

TEST_CASE("each block of the goroutine document runs as written to the outcome it illustrates") {
  for (const FencedBlock& block : fenced_blocks(source_text(kDocument))) {
    DYNAMIC_SECTION(block.heading << ", line " << block.line) {
      const auto expectation = expectations().find(block.heading);
      REQUIRE(expectation != expectations().end());
      expectation->second(block);
    }
  }
}

TEST_CASE("each function in the table of the goroutine document exists") {
  std::string checks;
  for (const std::string& line : lines_of(source_text(kDocument))) {
    if (!line.starts_with("| `")) continue;
    const std::string name = line.substr(3, line.find('(') - 3);
    checks += "assert(type(goroutine." + name + ") == 'function')\n";
  }
  CHECK(lines_of(checks).size() == 13);
  const Run result = run(checks);
  INFO(result.output);
  CHECK(result.exit_code == 0);
}

TEST_CASE("the pages that the goroutine document names exist") {
  const std::vector<std::string> links = link_targets(source_text(kDocument));
  REQUIRE(links.size() == 3);
  CHECK(links[0] == "../docs/modules/goroutine.md");
  CHECK_FALSE(source_text("docs/modules/goroutine.md").empty());
  CHECK(links[2] == "../docs/best-practices/concurrency.md");
  CHECK_FALSE(source_text("docs/best-practices/concurrency.md").empty());
  // Written as from a folder one deeper than the document's.
  CHECK(links[1] == "../../examples/goroutine/");
  CHECK_FALSE(source_text("examples/goroutine/etl.lua").empty());
}
