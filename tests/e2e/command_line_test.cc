// The command line itself: names, flags, help.
#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

const char kTwoTasks[] =
    "task(\"build\"):command(\"echo built\"):build()\ntask(\"test\"):command(\"true\"):build()\n";

TEST_CASE("version tells which build this is") {
  Sloth sloth;
  sloth.run("version").code(0).stdout_has("sloth 0.").stderr_is_empty();
  const std::string text = sloth.out();
  sloth.run("--version").code(0).stdout_is(text);
}

TEST_CASE("help is found in the usual places and shows examples") {
  Sloth().run("--help").code(0).stdout_has("Examples:").stdout_has("run").stdout_has("list");
  Sloth().run("run --help").code(0).stdout_has("--keep-going").stdout_has("Exit codes:");
  Sloth().run(std::vector<std::string>{}).code(0).stdout_has("Examples:");
}

TEST_CASE("an unknown flag is told with the nearest one and nothing runs") {
  Sloth()
      .file("tasks.lua", kTwoTasks)
      .run("run --keep-goin")
      .code(2)
      .stderr_has("unknown flag \"--keep-goin\"; did you mean \"--keep-going\"?")
      .stdout_is("");
}

TEST_CASE("what this version has not yet says so") {
  Sloth()
      .file("tasks.lua", kTwoTasks)
      .run("run --watch")
      .code(2)
      .stderr_has("--watch is not available in this version");
  Sloth()
      .file("tasks.lua", kTwoTasks)
      .run("run --output github")
      .code(2)
      .stderr_has("not available in this version");
  Sloth().run("secrets list").code(2).stderr_has("\"secrets\" is not available in this version");
}

TEST_CASE("an unknown task is told with the nearest one") {
  Sloth()
      .file("tasks.lua", kTwoTasks)
      .run("run biuld")
      .code(2)
      .stderr_has("biuld")
      .stderr_has("did you mean \"build\"?");
}

TEST_CASE("a word that is neither command nor task is told with the nearest of both") {
  Sloth()
      .file("tasks.lua", kTwoTasks)
      .run("lsit")
      .code(2)
      .stderr_has("lsit")
      .stderr_has("did you mean \"sloth list\"?");
}

TEST_CASE("with -f a stack name of the original is to be dropped") {
  Sloth().file("tasks.lua", kTwoTasks).run("run mystack -f tasks.lua").code(2).stderr_has("drop \"mystack\"");
}

TEST_CASE("wrong values of flags are told") {
  Sloth sloth;
  sloth.file("tasks.lua", kTwoTasks);
  sloth.run("run -j many").code(2).stderr_has("many");
  sloth.run("run --timeout soon").code(2).stderr_has("--timeout").stderr_has("soon");
  sloth.run("run -p nonsense").code(2).stderr_has("name=value");
  sloth.run("run --output jsn").code(2).stderr_has("did you mean \"json\"?");
}

TEST_CASE("list shows tasks, what they need and where they run") {
  Sloth sloth;
  sloth.file("tasks.lua", R"(
    task("build"):description("compile it"):command("true"):build()
    task("deploy"):depends_on("build"):delegate_to("web-1"):command("true"):build()
    local lint = task("lint"):command("true"):build()
    workflow.define("ci", { description = "all of it", tasks = { lint } }))");
  sloth.run("list")
      .code(0)
      .stdout_has("build   compile it")
      .stdout_has("deploy  needs build  on web-1")
      .stdout_has("workflow ci: all of it");
  sloth.run("list --output json").code(0).stdout_has("\"name\": \"deploy\"").stdout_has("\"web-1\"");
}

TEST_CASE("check tells that all is well") {
  Sloth().file("tasks.lua", kTwoTasks).run("check").code(0).stdout_is("tasks.lua: 2 tasks, no problems\n");
}

TEST_CASE("modules lists the modules and describes one") {
  Sloth().run("modules").code(0).stdout_has("exec").stdout_has("goroutine");
  Sloth().run("modules exec").code(0).stdout_has("exec.run(command, options)").stdout_has("exit_code");
  Sloth().run("modules exce").code(2).stderr_has("did you mean \"exec\"?");
}

TEST_CASE("a mistyped command is recognised where there is no task file") {
  Sloth().run("chekc").code(2).stderr_has("did you mean \"sloth check\"?");
  Sloth().run("frobnicate").code(2).stderr_has("no command is called \"frobnicate\"");
}

TEST_CASE("run -j 0 is refused") {
  Sloth()
      .file("tasks.lua", "task(\"a\"):command(\"echo RAN\"):build()")
      .run("run -j 0")
      .code(2)
      .stdout_is("")
      .stderr_has("-j must be 1 or more");
}

}  // namespace
}  // namespace sloth
