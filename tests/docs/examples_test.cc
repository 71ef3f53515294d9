// Every file under examples/ runs, to the outcome that its comment promises.
#include <catch2/catch.hpp>
#include <filesystem>
#include <set>
#include <string>

#include "tests/docs/sandbox.h"
#include "tests/support/http_server.h"

namespace fs = std::filesystem;
using Catch::Contains;
using sloth::testing::ClosedPort;
using sloth::testing::HttpServer;
using sloth::testing::Run;
using sloth::testing::Sandbox;

namespace {

// Prints what the example prints. In its own place: examples write into temporary directories only.
Run example(const std::string& name, const std::string& arguments = "") {
  return Sandbox().shell("exec sloth run " SLOTH_SOURCE_DIR "/examples/" + name + " --local " + arguments);
}

void prints(const Run& result, const std::string& text) {
  INFO(result.output);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.output, Contains(text));
  CHECK_THAT(result.output, !Contains("warning"));
}

}  // namespace

TEST_CASE("the first example greets") {
  const Run result = example("hello.lua", "-p name=Ana");
  prints(result, ", Ana! This is ");
  prints(result, "sloth 3 yawns");
  prints(result, "3 tasks: 3 succeeded");
}

TEST_CASE("delegation builds on an agent, or here, and reports here") {
  const Sandbox sandbox;
  const sloth::testing::BackgroundAgent worker(sandbox, "sloth agent start --name worker");
  const Run result = sandbox.shell("exec sloth run " SLOTH_SOURCE_DIR "/examples/delegation.lua");
  prints(result, "built 3 pieces on worker");
  prints(result, "attempt 2 worked");
  prints(result, "[report] 3 pieces, 12 words");
  prints(example("delegation.lua"), "[report] 3 pieces, 12 words");
}

TEST_CASE("data_processing processes every file") {
  prints(example("goroutine/data_processing.lua"), "40 files processed, 0 failed, 820 words");
  prints(example("goroutine/data_processing.lua", "-p files=7 -p workers=2"),
         "7 files processed, 0 failed, 28 words");
}

TEST_CASE("async_apis uses all answers, made up or real") {
  prints(example("goroutine/async_apis.lua"), "3 answers in ");
  const HttpServer server;
  const ClosedPort closed;
  prints(example("goroutine/async_apis.lua", "--set 'apis=[\"" + server.url("/json") + "\"]'"),
         "1 answers in ");
  const Run one_down = example("goroutine/async_apis.lua",
                               "--set 'apis=[\"" + server.url("/json") + "\",\"" + closed.url() + "\"]'");
  INFO(one_down.output);
  CHECK(one_down.exit_code == 1);
  CHECK_THAT(one_down.output, Contains("1 APIs did not answer") && Contains("connection refused"));
}

TEST_CASE("etl loads all sources") {
  prints(example("goroutine/etl.lua"), "ETL complete: 8/8 sources, 760 rows");
}

TEST_CASE("health_check counts the healthy and names the others") {
  const HttpServer server;
  const ClosedPort closed;
  const std::string healthy = "\"" + server.url("/json") + "\",\"" + server.url("/echo") + "\"";
  prints(example("goroutine/health_check.lua", "--set 'services=[" + healthy + "]'"), "2/2 services healthy");

  Sandbox sandbox;
  sandbox.write("services.yaml", "services: [" + healthy + ",\"" + server.url("/status/503") + "\",\"" +
                                     closed.url() + "\",\"" + server.url("/hang") + "\"]\n");
  const Run result = sandbox.shell("exec sloth run " SLOTH_SOURCE_DIR
                                   "/examples/goroutine/health_check.lua -v services.yaml -p limit_ms=200");
  INFO(result.output);
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.output, Contains("2/5 services healthy"));
  CHECK_THAT(result.output, Contains("not healthy: " + server.url("/status/503") + ", " + closed.url() +
                                     ", " + server.url("/hang")));
  CHECK_THAT(result.output,
             Contains("status 503") && Contains("connection refused") && Contains("timeout exceeded"));
}

TEST_CASE("ci_pipeline builds, tests and deploys two programs") {
  Sandbox sandbox;
  const std::string out = (sandbox.directory() / "out").string();
  const Run result = sandbox.shell(
      "sloth run " SLOTH_SOURCE_DIR "/examples/goroutine/ci_pipeline.lua --local -p out=" + out +
      "\ntest $(" + out + "/prod/backend add 20 22) = 42");
  prints(result, "Pipeline complete");
  for (const char* environment : {"dev", "staging", "prod"}) {
    for (const char* program : {"frontend", "backend"})
      CHECK(fs::exists(fs::path(out) / environment / program));
  }
  prints(example("goroutine/ci_pipeline.lua"), "Pipeline complete");
}

TEST_CASE("timeouts ends a sleep, a command and an endless loop") {
  const Run result = example("goroutine/timeouts.lua");
  prints(result, "quick    success=true, result=done");
  for (const char* what : {"sleep  ", "command", "loop   "}) {
    prints(result, std::string(what) + "  success=false, result=timeout exceeded");
  }
}

TEST_CASE("race_free counts right") { prints(example("goroutine/race_free.lua"), "count 100, balance 200"); }

TEST_CASE("channels adds up squares") {
  prints(example("goroutine/channels.lua"), "sum of 100 squares: 338350");
}

TEST_CASE("select takes what is ready") {
  prints(example("goroutine/select.lua"), "received 5, then timed out: true");
}

TEST_CASE("every example is tested and listed") {
  std::set<std::string> found;
  const fs::path root = fs::path(SLOTH_SOURCE_DIR) / "examples";
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() == ".lua") found.insert(fs::relative(entry.path(), root).string());
  }
  const std::string tests = sloth::testing::source_text("tests/docs/examples_test.cc");
  const std::string index = sloth::testing::source_text("examples/README.md");
  for (const std::string& name : found) {
    INFO(name);
    CHECK_THAT(tests, Contains("example(\"" + name) || Contains("/examples/" + name));
    CHECK_THAT(index, Contains("(" + name + ")"));
  }
}
