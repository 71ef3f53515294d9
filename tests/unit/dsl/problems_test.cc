#include <catch2/catch.hpp>

#include "tests/unit/dsl/dsl_fixture.h"

namespace sloth {
namespace {

// The message alone of what is wrong with `text`, which has one line and one problem: no place, excerpt and
// cure.
std::string wrong(const std::string& text) {
  const std::string whole = problems_of(text);
  const std::string first = whole.substr(0, whole.find('\n'));
  const std::string place = "tasks.lua:1: ";
  return first.rfind(place, 0) == 0 ? first.substr(place.size()) : whole;
}

// The same for one method call on an otherwise good task "t", beside the tasks "a" and "b".
std::string wrong_call(const std::string& call) {
  const std::string text =
      "for _, n in ipairs({ 'a', 'b' }) do task(n):command('x'):build() end task('t'):command('x')" + call +
      ":build()";
  const std::string whole = problems_of(text);
  CHECK(whole.find("\ntasks.lua") == std::string::npos);  // one problem
  const std::string message = wrong(text);
  const std::string about = "task \"t\": ";
  return message.rfind(about, 0) == 0 ? message.substr(about.size()) : message;
}

TEST_CASE("a problem shows its place, the source line and the cure") {
  CHECK(problems_of("local x = 1\n  task(\"build\")\n    :command(\"make\")\n    :workdir(\"\") -- here\n    "
                    ":build()\n") ==
        "tasks.lua:4: task \"build\": workdir: the path is empty\n"
        "  4 |     :workdir(\"\") -- here\n"
        "  leave it out for the directory of the file");
}

TEST_CASE("all problems are reported at once, in the order of the file") {
  CHECK(problems_of(R"(
task("b"):command(true):build()
workflow.define("w", { vesion = "1" })
task("a"):comand("make"):timeout("5"):build()
)") == "tasks.lua:2: task \"b\": command: expected a function or a shell command, got true\n"
       "  2 | task(\"b\"):command(true):build()\n"
       "tasks.lua:3: workflow \"w\": \"vesion\" is unknown; did you mean \"version\"?\n"
       "  3 | workflow.define(\"w\", { vesion = \"1\" })\n"
       "tasks.lua:4: task \"a\": \"comand\" is unknown; did you mean \"command\"?\n"
       "  4 | task(\"a\"):comand(\"make\"):timeout(\"5\"):build()\n"
       "tasks.lua:4: task \"a\": timeout: \"5\" is not a duration: write it like \"300ms\", \"30s\", \"5m\" "
       "or \"1h30m\" "
       "(or a number of seconds), above zero and at most one year\n"
       "  4 | task(\"a\"):comand(\"make\"):timeout(\"5\"):build()");
}

TEST_CASE("very many problems are counted, not all shown") {
  const std::string text = problems_of("for i = 1, 150 do task('t' .. i):build() end");
  CHECK(text.find("task \"t1\" has no command") != std::string::npos);
  CHECK(text.find("... and 50 more problems") != std::string::npos);
}

TEST_CASE("everything of the language that is absent says so") {
  for (const std::string name : {"dotenv", "serial", "max_failures", "sources", "generates", "artifacts",
                                 "consumes", "jit", "memory", "confirm", "interactive", "secret", "matrix",
                                 "tags", "namespace", "hidden", "async", "next_if_fail", "uses"}) {
    CHECK(wrong_call(":" + name + "('x')") == "\"" + name + "\" is not available in this version");
    CHECK(wrong("task({ name = 't', command = 'x', " + name + " = 'x' })") ==
          "task \"t\": \"" + name + "\" is not available in this version");
  }
  CHECK(wrong("workflow.define('w', { clean_workdir_after_run = true })") ==
        "workflow \"w\": \"clean_workdir_after_run\" is not available in this version");
  CHECK(wrong("workflow.define('w', { env = {} })") ==
        "workflow \"w\": \"env\" is not available in this version");
}

TEST_CASE("an unknown name is an error with the nearest one") {
  CHECK(wrong_call(":tiemout('3s')") == "\"tiemout\" is unknown; did you mean \"timeout\"?");
  CHECK(wrong_call(":frobnicate()") == "\"frobnicate\" is unknown");
  CHECK(wrong("task({ name = 't', comand = 'x' })") ==
        "task \"t\": \"comand\" is unknown; did you mean \"command\"?");
  CHECK(wrong("workflow.define('w'):on_compete(print)") ==
        "workflow \"w\": \"on_compete\" is unknown; did you mean \"on_complete\"?");
  CHECK(wrong("workflow.define('w', { config = { max_paralel_tasks = 2 } })") ==
        "workflow \"w\": config: \"max_paralel_tasks\" is unknown; did you mean \"max_parallel_tasks\"?");
  CHECK(wrong("workflow.parallel({})") == "workflow.parallel is unknown");
  CHECK(wrong("workflow.define('w'):timeout('3s')") == "workflow \"w\": \"timeout\" is unknown");
  CHECK(problems_of("workflow.define('w'):timeout('3s')").find("write :config({ timeout = ... })") !=
        std::string::npos);
}

TEST_CASE("every wrong way to use a builder is told") {
  CHECK(wrong_call(":command('y')") == "command is set twice (first at tasks.lua:1)");
  CHECK(wrong_call(":run('y')") == "command is set twice (first at tasks.lua:1)");
  CHECK(wrong_call(":description()") == "description: expected one argument, got none");
  CHECK(wrong_call(":description('a', 'b')") == "description: expected one argument, got 2");
  CHECK(wrong("task('t'):command('x'):build('y')") == "task \"t\": build() takes no arguments");
  CHECK(wrong("task('t'):command('x'):build():build()") == "task \"t\": build() is called twice");
  CHECK(wrong("task('t'):command('x'):build():timeout('3s')") == "task \"t\": timeout() comes after build()");
  CHECK(wrong("local t = task('t'):command('x'):build() local y = t.output") ==
        "task \"t\": \"output\" is unknown: a built task has only its name");
  CHECK(wrong("local t = task('t'):command('x') t.timeout = 3 t:build()") ==
        "task \"t\": timeout cannot be assigned");
  CHECK(wrong("task('t').command('x'):build()") == "task \"t\": command is called with a dot");
  CHECK(wrong("task('t'):command('x')") == "task \"t\" is never built: add :build()");
  CHECK(wrong("task('t', 'u'):command('x'):build()") == "task \"t\": task() is given too many arguments");
  CHECK(wrong("task('t'):build()") == "task \"t\" has no command");
  CHECK(wrong("task({ name = 't', command = 'x', build = true })") ==
        "task \"t\": a table is complete as it is");
  CHECK(wrong("task({ name = 't', command = 'x', 3 })") == "task \"t\": expected names, found the key 1");
  CHECK(wrong("task(setmetatable({ name = 't', command = 'x' }, {}))") ==
        "task \"t\": the table has a metatable");
  CHECK(wrong("workflow('w')") == "workflow \"w\": workflow() takes a table");
  CHECK(wrong("workflow.define('w', 3)") == "workflow \"w\": expected a table");
  CHECK(wrong("workflow.define('w'):build()") == "workflow \"w\": build() is unknown");
  CHECK(wrong("workflow.define('w'):version('1'):version('2')") ==
        "workflow \"w\": version is set twice (first at tasks.lua:1)");
}

TEST_CASE("names are checked") {
  CHECK(wrong("task(''):command('x'):build()") == "task \"\": the name is empty");
  CHECK(wrong("task('a\\1'):command('x'):build()") == "task \"a\\x01\": the name holds a control character");
  CHECK(wrong("task('a\\0'):command('x'):build()") == "task \"a\\x00\": the name holds a control character");
  CHECK(wrong("task('a\\255'):command('x'):build()") == "task \"a\\xff\": the name is not valid UTF-8");
  CHECK(wrong("task(('x'):rep(201)):command('x'):build()") ==
        "task \"" + std::string(200, 'x') + "...\": the name is longer than 200 bytes");
  CHECK(wrong("task(5):command('x'):build()") == "a task needs a string as its name, got 5");
  CHECK(wrong("task():command('x'):build()") == "a task has no name");
  CHECK(wrong("task({ command = 'x' })") == "a task has no name");
  CHECK(wrong("workflow.define()") == "a workflow has no name");
  CHECK(wrong("workflow.define('')") == "workflow \"\": the name is empty");
}

TEST_CASE("a name given twice is an error that names both places") {
  CHECK(problems_of("task('a'):command('x'):build()\n\ntask('a'):command('y'):build()") ==
        "tasks.lua:3: task \"a\" is declared twice (first at tasks.lua:1)\n"
        "  3 | task('a'):command('y'):build()\n"
        "  give one of them another name: task names are unique in a file");
  CHECK(problems_of("workflow.define('w')\nworkflow.define('w')") ==
        "tasks.lua:2: workflow \"w\" is declared twice (first at tasks.lua:1)\n"
        "  2 | workflow.define('w')\n"
        "  give one of them another name: workflow names are unique in a file");
}

TEST_CASE("durations are read strictly") {
  const std::string forms =
      "write it like \"300ms\", \"30s\", \"5m\" or \"1h30m\" (or a number of seconds), above zero and at "
      "most one year";
  for (const std::string text : {"5", "5 minutes", "1h30", "1e99h", "-3s", "0s", "nan", "inf", ""}) {
    CHECK(wrong_call(":timeout('" + text + "')") == "timeout: \"" + text + "\" is not a duration: " + forms);
  }
  CHECK(wrong_call(":timeout(0)") == "timeout: \"0\" is not a duration: " + forms);
  CHECK(wrong_call(":timeout(-1)") == "timeout: \"-1\" is not a duration: " + forms);
  CHECK(wrong_call(":timeout(0/0)").find("is not a duration: " + forms) != std::string::npos);
  CHECK(wrong_call(":timeout(1/0)") == "timeout: \"inf\" is not a duration: " + forms);
  CHECK(wrong_call(":timeout({})") ==
        "timeout: expected a duration like \"30s\" or a number of seconds, got a table");
  CHECK(wrong_call(":timeout(nil)") ==
        "timeout: expected a duration like \"30s\" or a number of seconds, got nil");
  CHECK(problems_of("workflow.define('w', { config = { timeout = 'x' } })") ==
        "tasks.lua:1: workflow \"w\": config.timeout: \"x\" is not a duration: " + forms +
            "\n  1 | workflow.define('w', { config = { timeout = 'x' } })");
}

TEST_CASE("retries are read strictly") {
  for (const std::string text : {"-1", "1.5", "101", "1000000000"}) {
    CHECK(wrong_call(":retries(" + text + ")") ==
          "retries: expected a whole number from 0 to 100, got " + text);
  }
  CHECK(wrong_call(":retries('3')") == "retries: expected a whole number from 0 to 100, got \"3\"");
  CHECK(wrong_call(":retries()") == "retries: expected a number and perhaps a strategy, got 0 values");
  CHECK(wrong_call(":retries(1, 'fixed', 3)") ==
        "retries: expected a number and perhaps a strategy, got 3 values");
  CHECK(wrong_call(":retries(1, 'expo')") ==
        "retries: expected \"fixed\", \"linear\" or \"exponential\", got \"expo\"");
  CHECK(
      wrong_call(":retries(1, 'liner')") ==
      "retries: expected \"fixed\", \"linear\" or \"exponential\", got \"liner\"; did you mean \"linear\"?");
  CHECK(
      wrong_call(":retries(1, 5)") ==
      "retries: argument 2: expected \"fixed\", \"linear\" or \"exponential\", or a table of options, got 5");
  CHECK(wrong_call(":retries({ 1.5, 'fixed' })") ==
        "retries: element 1: expected a whole number from 0 to 100, got 1.5");
  CHECK(wrong_call(":retries({ count = 1 })") == "retries: expected a list, found the key \"count\"");
  CHECK(wrong_call(":retries(1, { dealy = 1 })") ==
        "retries: the option \"dealy\" is unknown; did you mean \"delay\"?");
  CHECK(wrong_call(":retries(1, { delay = '3m', max_delay = '1s' })") ==
        "retries: delay (3m00s) is longer than max_delay (1.0s)");
  CHECK(wrong_call(":retries(1, { jitter = 'no' })") == "retries.jitter: expected true or false, got \"no\"");
  CHECK(wrong_call(":retries(1, { strategy = {} })") ==
        "retries.strategy: expected \"fixed\", \"linear\" or \"exponential\", got a table");
  CHECK(wrong("workflow.define('w', { config = { retries = { 1, 'fixed' }, retry_policy = 'linear' } })") ==
        "workflow \"w\": config: the retry strategy is given twice, in retries and in retry_policy");
}

TEST_CASE("agents are named, never addressed") {
  for (const std::string name :
       {"10.0.0.1:50052", "/tmp/sock", "../x", "-x", "--all", "a b", "", ".a", "a\\n"}) {
    const std::string message = wrong_call(":delegate_to('" + name + "')");
    CHECK(message.find(" is no agent name") != std::string::npos);
  }
  CHECK(wrong_call(":delegate_to('a:1')") == "delegate_to: \"a:1\" is no agent name");
  CHECK(wrong_call(":delegate_to(('a'):rep(64))") ==
        "delegate_to: \"" + std::string(64, 'a') + "\" is no agent name");
  CHECK(wrong_call(":delegate_to({ 'a', 'b', 'a' })") == "delegate_to: \"a\" stands there twice");
  CHECK(wrong_call(":delegate_to({})") ==
        "delegate_to: expected the name of an agent or a list of names, got none");
  CHECK(wrong_call(":delegate_to({ 'a', 5 })") ==
        "delegate_to: element 2: expected the name of an agent, got 5");
  CHECK(wrong_call(":delegate_to(function() end)") ==
        "delegate_to: expected the name of an agent or a list of names, got none");
  CHECK(wrong_call(":delegate_to({ label = 'web' })") ==
        "delegate_to: { label = ... } is not available in this version");
  CHECK(wrong_call(":delegate_to({ address = 'h:1' })") ==
        "delegate_to: { address = ... } is not available in this version");
}

TEST_CASE("dependencies are names or task objects") {
  CHECK(wrong_call(":depends_on()") ==
        "depends_on: expected a task's name, a task object or a list of them, got none");
  CHECK(wrong_call(":depends_on('a', nil)") ==
        "depends_on: argument 2: expected a task's name or a task object, got nil");
  CHECK(wrong_call(":depends_on({ 'a', nil, 'b' })") ==
        "depends_on: element 2: expected a task's name or a task object, got nil");
  CHECK(wrong_call(":depends_on({ x = 'a' })") == "depends_on: expected a list, found the key \"x\"");
  CHECK(wrong_call(":depends_on(print)") ==
        "depends_on: expected a task's name or a task object, got a function");
  CHECK(wrong_call(":depends_on(workflow.define('w'))") == "depends_on: the table has a metatable");
}

TEST_CASE("the environment is checked") {
  CHECK(wrong_call(":env({ LD_PRELOAD = 'x' })") ==
        "env: \"LD_PRELOAD\" changes how every program is loaded and is refused");
  for (const std::string name : {"A=B", "A\\nB", "", "1A", "A-B"}) {
    CHECK(wrong_call(":env({ ['" + name + "'] = 'x' })").find("is no name of an environment variable") !=
          std::string::npos);
  }
  CHECK(wrong_call(":env({ PATH = '' })") == "env: PATH is empty");
  CHECK(wrong_call(":env({ A = {} })") == "env: A: expected a string, a number or a boolean, got a table");
  CHECK(wrong_call(":env({ A = 'x\\0y' })") == "env: A holds a NUL byte");
  CHECK(wrong_call(":env({ 'A' })") == "env: expected names, found the key 1");
  CHECK(wrong_call(":env('A=1')") == "env: expected a table, got \"A=1\"");
}

TEST_CASE("params are named data") {
  CHECK(wrong_call(":params({ f = print })") == "params: params.f is a function, which cannot be sent");
  CHECK(wrong_call(":params({ a = { b = { print } } })") ==
        "params: params.a.b[1] is a function, which cannot be sent");
  CHECK(wrong_call(":params({ 1, 2 })") == "params: expected names, found a list");
  CHECK(wrong_call(":params({ [1] = 1, a = 2 })") == "params: expected names, found the key 1");
  CHECK(wrong_call(":params({ task_name = 'x' })") == "params: \"task_name\" is set for every task");
  CHECK(wrong_call(":params(3)") == "params: expected a table, got 3");
  CHECK(wrong("local t = {} t.t = t task('t'):command('x'):params(t):build()") ==
        "task \"t\": params: params.t contains itself, which cannot be sent");
}

TEST_CASE("actions have the right kind") {
  CHECK(wrong("task('t'):command(true):build()") ==
        "task \"t\": command: expected a function or a shell command, got true");
  CHECK(wrong("task('t'):command(' '):build()") == "task \"t\": command: the shell command is empty");
  CHECK(wrong("task('t'):run('a\\0b'):build()") == "task \"t\": run: holds a NUL byte");
  CHECK(wrong_call(":run_if(3)") == "run_if: expected a function or a shell command, got 3");
  CHECK(wrong_call(":abort_if({})") == "abort_if: expected a function or a shell command, got a table");
  for (const std::string name :
       {"pre_hook", "post_hook", "on_success", "on_failure", "on_timeout", "finally", "on_fail"}) {
    CHECK(wrong_call(":" + name + "('x')") == name + ": expected a function, got \"x\"");
  }
  CHECK(wrong("workflow.define('w'):on_start('x')") ==
        "workflow \"w\": on_start: expected a function, got \"x\"");
  CHECK(wrong_call(":workdir(3)") == "workdir: expected a string, got 3");
}

TEST_CASE("a workflow's tasks are task objects and tables, each once") {
  CHECK(wrong("workflow.define('w', { tasks = { 'build' } })") == "workflow \"w\": tasks[1] is \"build\"");
  CHECK(wrong("workflow.define('w', { tasks = { x = 3 } })") == "workflow \"w\": tasks.x is 3");
  CHECK(wrong("workflow.define('w', { tasks = 3 })") == "workflow \"w\": tasks: expected a table, got 3");
  CHECK(wrong("local a = task('a'):command('x') workflow.define('w', { tasks = { a, nil, { name = 'b', run = "
              "'x' } } })") == "workflow \"w\": tasks[2] is nil");
  CHECK(wrong("local a = task('a'):command('x') workflow.define('w'):tasks({ a, a })") ==
        "workflow \"w\": task \"a\" is listed twice");
  CHECK(wrong("local a = task('a'):command('x') workflow.define('v'):tasks({ a }) "
              "workflow.define('w'):tasks({ a })") ==
        "workflow \"w\": task \"a\" is in workflow \"v\" already (tasks.lua:1)");
  CHECK(wrong("workflow.define('w', { config = { max_parallel_tasks = 0 } })") ==
        "workflow \"w\": config.max_parallel_tasks: expected a whole number from 1 to 10000, got 0");
  CHECK(wrong("TaskDefinitions = 3") == "TaskDefinitions: expected a table of groups, got 3");
  CHECK(wrong("TaskDefinitions = { g = 3 }") == "workflow \"g\": expected a table");
}

TEST_CASE("places inside a table form are those of its keys") {
  CHECK(problems_of(R"(
workflow.define("w", {
  tasks = {
    build = {
      command = "make",
      timeout = "5",
    },
    test = {
      comand = "make test",
    },
  },
})
)")
            .find("tasks.lua:6: task \"build\": timeout:") == 0);
}

TEST_CASE("a syntax error shows the line") {
  CHECK(problems_of("local x = 1\nlocal = 2\n") ==
        "tasks.lua:2: '<name>' expected near '='\n  2 | local = 2");
  CHECK(problems_of("#!/usr/bin/env sloth\r\nlocal x = 1\r\nx x\r\n").find("tasks.lua:3: ") == 0);
}

TEST_CASE("bytecode is refused") {
  CHECK(problems_of("\x1bLJ\x02") == "tasks.lua:1: bytecode is not accepted\n  give the Lua source text");
  CHECK(problems_of("\xef\xbb\xbf\x1bLua") ==
        "tasks.lua:1: bytecode is not accepted\n  give the Lua source text");
}

TEST_CASE("a NUL byte in the text is refused with its line") {
  CHECK(
      problems_of(std::string("local x\nlocal y = 'a\0b'", 23)) ==
      "tasks.lua:2: a NUL byte in the source\n  2 | local y = 'a\\x00b'\n  write it as \\0 inside a string");
}

TEST_CASE("an error at file level has its place") {
  CHECK(problems_of("\n\nerror('boom')") == "tasks.lua:3: boom");
}

}  // namespace
}  // namespace sloth
