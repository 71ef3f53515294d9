// Values: from files, the environment and the command line.
#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

const char kShow[] = R"(
task("show"):command(function()
  print(values.app.name, values.app.port, values.app.debug, #values.hosts, values.hosts[2])
end):build())";

TEST_CASE("values come from YAML, then the environment, then --set") {
  Sloth sloth;
  sloth.file("tasks.lua", kShow)
      .file("values.yaml", "app:\n  name: \"007\"\n  port: 80\n  debug: false\nhosts: [a, b]\n")
      .file("more.yaml", "app:\n  port: 81\n");
  sloth.run("run -v values.yaml").code(0).stdout_has("007\t80\tfalse\t2\tb");
  sloth.run("run -v values.yaml -v more.yaml").code(0).stdout_has("007\t81\tfalse");
  sloth.env("SLOTH_VALUE_APP__PORT", "82");
  sloth.run("run -v values.yaml -v more.yaml").code(0).stdout_has("007\t82\t");
  sloth
      .run({"run", "-v", "values.yaml", "--set", "app.port=83", "--set", "app.debug=true", "--set",
            "hosts=[\"x\",\"y\",\"z\"]"})
      .code(0)
      .stdout_has("007\t83\ttrue\t3\ty");
}

TEST_CASE("values are there at file level too") {
  Sloth().file("s.lua", "print(values.n + 1)").run("run s.lua --set n=2").code(0).stdout_is("3\n");
}

TEST_CASE("a wrong values file is told and nothing runs") {
  Sloth sloth;
  sloth.file("tasks.lua", kShow).file("bad.yaml", "a: [1\nb: 2\n").file("list.yaml", "- 1\n");
  sloth.run("run -v bad.yaml").code(2).stderr_has("bad.yaml: line");
  sloth.run("run -v list.yaml").code(2).stderr_has("must be a map");
  sloth.run("run -v none.yaml").code(2).stderr_has("none.yaml");
}

TEST_CASE("a setting that makes no sense is told and nothing runs") {
  Sloth sloth;
  sloth.file("tasks.lua", kShow).file("v.yaml", "hosts: [a, b]\n");
  sloth.run("run --set a..b=1").code(2).stdout_is("").stderr_has("--set a..b=1: an empty name");
  sloth.run("run -v v.yaml --set hosts.1=x").code(2).stdout_is("").stderr_has("inside a list");
}

TEST_CASE("a values file that grows without bound by its aliases is refused") {
  std::string yaml = "a: &a [1,1,1,1,1,1,1,1,1,1]\n";
  for (char name = 'b'; name < 'k'; ++name) {
    const std::string before(1, static_cast<char>(name - 1));
    yaml += std::string(1, name) + ": &" + name + " [";
    for (int i = 0; i < 10; ++i) yaml += (i > 0 ? ",*" : "*") + before;
    yaml += "]\n";
  }
  Sloth()
      .file("tasks.lua", kShow)
      .file("v.yaml", yaml)
      .run("run -v v.yaml")
      .code(2)
      .stderr_has("more than 1000000");
}

}  // namespace
}  // namespace sloth
