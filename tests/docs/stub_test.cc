// The examples in the stub of the goroutine module run, each as a script of its own.
#include <catch2/catch.hpp>
#include <string>

#include "tests/docs/sandbox.h"
#include "tests/support/stub_examples.h"

using sloth::testing::Run;
using sloth::testing::Sandbox;
using sloth::testing::source_text;
using sloth::testing::stub_examples;

TEST_CASE("every example in the stub of the goroutine module runs") {
  const auto examples = stub_examples(source_text("modules/goroutine.meta.lua"));
  CHECK(examples.size() > 20);
  Sandbox sandbox;
  for (const auto& example : examples) {
    const Run result = sandbox.run(example.text);
    INFO("modules/goroutine.meta.lua:" << example.line << "\n" << example.text << result.output);
    CHECK(result.exit_code == 0);
  }
}

TEST_CASE("the stub of the goroutine module describes every function that exists, and no other") {
  // The stub defines the functions on a table of its own; then both tables are compared.
  const std::string stub =
      "local goroutine = {}\n" +
      sloth::testing::replaced(source_text("modules/goroutine.meta.lua"), "\ngoroutine = {}\n", "\n");
  const Run result = Sandbox().run("local real = goroutine\ndo\n" + stub + R"(
    for name in pairs(goroutine) do assert(rawget(real, name), name .. " does not exist") end
    for name in pairs(real) do assert(goroutine[name], name .. " is not described") end
end)");
  INFO(result.output);
  CHECK(result.exit_code == 0);
}
