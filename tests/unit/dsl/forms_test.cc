#include <catch2/catch.hpp>

#include "tests/unit/dsl/dsl_fixture.h"

namespace sloth {
namespace {

using Names = std::vector<std::string>;

Names names_of(const Workflow& workflow) {
  Names names;
  for (const TaskSpec& task : workflow.tasks) names.push_back(task.name);
  return names;
}

std::string shell(const AttemptAction& action) {
  const auto* const command = std::get_if<ShellCommand>(&action);
  return command != nullptr ? command->text : "(a function)";
}

bool is_function(const AttemptAction& action) { return std::holds_alternative<PortableFunction>(action); }

TEST_CASE("a file of tasks only loads in the order of the file") {
  DslFixture fixture;
  const Workflow workflow = fixture.loaded(R"(
    task("b"):command("make b"):build()
    local a = task("a")
      :description("the first")
      :command(function(this, params, deps) return true end)
      :depends_on("b")
      :build()
  )");
  REQUIRE(workflow.warnings == Names{});
  REQUIRE(names_of(workflow) == Names{"b", "a"});
  CHECK(workflow.file == "tasks.lua");
  CHECK(workflow.directory == "/project");
  CHECK(workflow.groups.empty());
  CHECK(shell(workflow.tasks[0].command) == "make b");
  CHECK(workflow.tasks[0].place == Place{"tasks.lua", 2});
  CHECK(workflow.tasks[1].place == Place{"tasks.lua", 3});
  CHECK(workflow.tasks[1].description == "the first");
  CHECK(workflow.tasks[1].depends_on == Names{"b"});
  REQUIRE(is_function(workflow.tasks[1].command));
  CHECK(std::get<PortableFunction>(workflow.tasks[1].command).store != nullptr);
}

TEST_CASE("a file without tasks is a script") {
  const Workflow workflow = DslFixture().loaded("local x = 1 + 1");
  CHECK(workflow.tasks.empty());
  CHECK(workflow.groups.empty());
  CHECK(workflow.warnings.empty());
}

TEST_CASE("task({...}) declares a task at once") {
  const Workflow workflow = DslFixture().loaded(R"(
    task({ name = "one", command = "true", timeout = "5s", retries = { 2, "fixed" } })
    task{ name = "two", run = function() end, depends_on = { "one" } }
  )");
  REQUIRE(names_of(workflow) == Names{"one", "two"});
  CHECK(workflow.tasks[0].timeout == std::chrono::seconds(5));
  CHECK(workflow.tasks[0].retries.extra_attempts == 2);
  CHECK(workflow.tasks[0].retries.strategy == RetryPolicy::Strategy::kFixed);
  CHECK(is_function(workflow.tasks[1].command));
}

TEST_CASE("the fluent workflow needs no closing call") {
  DslFixture fixture;
  const Workflow workflow = fixture.loaded(R"(
    local a = task("a"):command("true"):build()
    local b = task("b"):command("true")
    workflow.define("release")
      :description("ships it")
      :version("1.2.0")
      :tasks({ b, a })
      :config({ max_parallel_tasks = 3, timeout = "10m" })
      :on_start(function() return "started" end)
  )");
  REQUIRE(workflow.groups.size() == 1);
  const WorkflowGroup& group = workflow.groups[0];
  CHECK(group.name == "release");
  CHECK(group.description == "ships it");
  CHECK(group.version == "1.2.0");
  CHECK(group.place == Place{"tasks.lua", 4});
  CHECK(group.tasks == Names{"b", "a"});
  CHECK(group.max_parallel_tasks == 3);
  CHECK(group.timeout == std::chrono::minutes(10));
  REQUIRE(group.on_start.has_value());
  CHECK(fixture.call(*group.on_start) == "started");
  CHECK_FALSE(group.on_complete.has_value());
  // Listing a builder builds it; the order of the file stays that of the declarations.
  CHECK(names_of(workflow) == Names{"a", "b"});
  CHECK(workflow.tasks[1].workflow == "release");
}

TEST_CASE("a workflow in table form holds listed tables and task objects") {
  const Workflow workflow = DslFixture().loaded(R"(
    local built = task("built"):command("true"):build()
    workflow.define("w", {
      description = "d", version = "2",
      tasks = {
        { name = "first", command = "true" },
        built,
        task({ name = "second", command = "true", depends_on = built }),
        { name = "third", command = "true", depends_on = { "first", built, "first" } },
      },
      on_complete = function() end,
    })
  )");
  REQUIRE(workflow.groups.size() == 1);
  CHECK(workflow.groups[0].tasks == Names{"first", "built", "second", "third"});
  CHECK(workflow.groups[0].on_complete.has_value());
  CHECK(workflow.find("second")->depends_on == Names{"built"});
  CHECK(workflow.find("third")->depends_on == Names{"first", "built"});
  CHECK(workflow.find("third")->place == Place{"tasks.lua", 9});
}

TEST_CASE("keyed tasks take their key as name and stand in the order of their lines") {
  const Workflow workflow = DslFixture().loaded(R"(
    workflow({
      name = "w",
      tasks = {
        zebra = { command = "true" },
        ant = { command = "true" },
        ["the moth"] = { command = function() end, timeout = 3 },
        bee = task({ command = "true" }),
      },
    })
  )");
  REQUIRE(workflow.groups.size() == 1);
  CHECK(workflow.groups[0].name == "w");
  CHECK(workflow.groups[0].tasks == Names{"zebra", "ant", "the moth", "bee"});
  CHECK(workflow.find("ant")->place == Place{"tasks.lua", 6});
  CHECK(workflow.find("the moth")->timeout == std::chrono::seconds(3));
}

TEST_CASE("keyed tasks without lines of their own stand in the order of their names") {
  const Workflow workflow = DslFixture().loaded(R"(
    local tasks = {}
    for _, name in ipairs({ "c", "a", "b" }) do tasks[name] = { command = "true" } end
    workflow.define("w", { tasks = tasks })
  )");
  CHECK(workflow.groups.at(0).tasks == Names{"a", "b", "c"});
}

TEST_CASE("a key that differs from the name is told to be unused") {
  const Workflow workflow = DslFixture().loaded(R"(
    workflow.define("w", { tasks = {
      first = { name = "Check it", command = "true" },
    } })
  )");
  CHECK(workflow.groups.at(0).tasks == Names{"Check it"});
  CHECK(workflow.warnings ==
        Names{R"(tasks.lua:3: task "Check it": its key "first" is not used: the name counts)"});
}

TEST_CASE("TaskDefinitions of the older style loads") {
  const Workflow workflow = DslFixture().loaded(R"(
TaskDefinitions = {
  second = {
    description = "two",
    tasks = { { name = "x", command = "true" } },
  },
  first = {
    delegate_to = "web-1",
    workdir = "/srv",
    tasks = {
      z = { command = "true", pre_exec = function() end, post_exec = function() end, on_fail = function() end },
      y = { command = "true", depends_on = "z", workdir = "sub" },
    },
  },
}
)");
  REQUIRE(workflow.groups.size() == 2);
  CHECK(workflow.groups[0].name == "second");
  CHECK(workflow.groups[0].place == Place{"tasks.lua", 3});
  CHECK(workflow.groups[1].tasks == Names{"z", "y"});
  CHECK(names_of(workflow) == Names{"x", "z", "y"});
  CHECK(workflow.find("z")->place == Place{"tasks.lua", 11});
  CHECK(workflow.find("z")->pre_hook.has_value());
  CHECK(workflow.find("z")->post_hook.has_value());
  CHECK(workflow.find("z")->on_failure.has_value());
  CHECK(workflow.find("z")->delegate_to == Names{"web-1"});
  CHECK(workflow.find("z")->workdir == "/srv");
  CHECK(workflow.find("y")->workdir == "sub");
}

TEST_CASE("a task that only gathers others has an empty shell command") {
  const Workflow workflow = DslFixture().loaded(R"(
    task("a"):command("true"):build()
    task("all"):depends_on("a"):build()
  )");
  REQUIRE(workflow.find("all") != nullptr);
  CHECK(shell(workflow.find("all")->command).empty());
}

TEST_CASE("every setting of a task arrives") {
  DslFixture fixture;
  const Workflow workflow = fixture.loaded(R"(
    task("t")
      :run("make")
      :params({ n = 3, s = "x", b = true, list = { 1, 2 } })
      :timeout("1h30m")
      :retries(3, { strategy = "linear", delay = "2m", jitter = false })
      :delegate_to("a", "b")
      :workdir("/tmp/x")
      :env({ CC = "gcc", JOBS = 4, DEBUG = false })
      :run_if("test -f x")
      :abort_if(function() return "abort_if" end)
      :pre_hook(function() end)
      :post_hook(function() end)
      :on_success(function() return "on_success" end)
      :on_failure(function() return "on_failure" end)
      :on_timeout(function() return "on_timeout" end)
      :finally(function() return "finally" end)
      :build()
  )");
  REQUIRE(workflow.warnings == Names{});
  const TaskSpec& task = workflow.tasks.at(0);
  CHECK(shell(task.command) == "make");
  CHECK(task.params == Value::Map{{"n", 3}, {"s", "x"}, {"b", true}, {"list", Value::List{1, 2}}});
  CHECK(task.timeout == std::chrono::minutes(90));
  CHECK(task.retries.extra_attempts == 3);
  CHECK(task.retries.strategy == RetryPolicy::Strategy::kLinear);
  CHECK(task.retries.delay == std::chrono::minutes(2));
  CHECK(task.retries.max_delay == std::chrono::minutes(2));
  CHECK_FALSE(task.retries.jitter);
  CHECK(task.delegate_to == Names{"a", "b"});
  CHECK(task.workdir == "/tmp/x");
  CHECK(task.env == std::map<std::string, std::string>{{"CC", "gcc"}, {"JOBS", "4"}, {"DEBUG", "false"}});
  CHECK(std::get<ShellCommand>(*task.run_if).text == "test -f x");
  CHECK(fixture.call(std::get<PlanFunction>(*task.abort_if)) == "abort_if");
  CHECK(is_function(*task.pre_hook));
  CHECK(is_function(*task.post_hook));
  CHECK(fixture.call(std::get<PlanFunction>(*task.on_success)) == "on_success");
  CHECK(fixture.call(std::get<PlanFunction>(*task.on_failure)) == "on_failure");
  CHECK(fixture.call(std::get<PlanFunction>(*task.on_timeout)) == "on_timeout");
  CHECK(fixture.call(std::get<PlanFunction>(*task.finally_action)) == "finally");
}

TEST_CASE("the workflow's retries, agents and directory count for tasks that do not say their own") {
  const Workflow workflow = DslFixture().loaded(R"(
    workflow.define("w", {
      delegate_to = { "a1" }, workdir = "sub",
      config = { retries = 4, retry_policy = { strategy = "fixed", delay = "3s" } },
      tasks = {
        { name = "none", command = "true" },
        { name = "number", command = "true", retries = 1 },
        { name = "all", command = "true", retries = { 2, "linear" }, delegate_to = "b", workdir = "." },
      },
    })
  )");
  const RetryPolicy& none = workflow.find("none")->retries;
  CHECK(none.extra_attempts == 4);
  CHECK(none.strategy == RetryPolicy::Strategy::kFixed);
  CHECK(none.delay == std::chrono::seconds(3));
  CHECK(workflow.find("none")->delegate_to == Names{"a1"});
  CHECK(workflow.find("none")->workdir == "sub");
  CHECK(workflow.find("number")->retries.extra_attempts == 1);
  CHECK(workflow.find("number")->retries.strategy == RetryPolicy::Strategy::kFixed);
  CHECK(workflow.find("all")->retries.extra_attempts == 2);
  CHECK(workflow.find("all")->retries.strategy == RetryPolicy::Strategy::kLinear);
  CHECK(workflow.find("all")->delegate_to == Names{"b"});
  CHECK(workflow.find("all")->workdir == ".");
}

TEST_CASE("a retry policy that no task can use is told") {
  const Workflow workflow = DslFixture().loaded(R"(
    workflow.define("w", { tasks = { { name = "a", command = "x" } }, config = { retry_policy = "linear" } })
  )");
  CHECK(
      workflow.warnings ==
      Names{
          R"(tasks.lua:2: workflow "w": config.retry_policy has no effect: none of its tasks is tried again; add retries)"});
}

TEST_CASE("what is said holds as it was when it was said") {
  const Workflow workflow = DslFixture().loaded(R"(
    local params = {}
    for i = 1, 2 do
      params.i = i
      task("t" .. i):command("true"):params(params):build()
    end
  )");
  CHECK(workflow.find("t1")->params == Value::Map{{"i", 1}});
  CHECK(workflow.find("t2")->params == Value::Map{{"i", 2}});
}

TEST_CASE("a task object has its name, prints as what it is, and hides the rest") {
  DslFixture fixture;
  CHECK(fixture
            .problems(R"(
    local a = task("a"):command("true"):build()
    assert(a.name == "a")
    assert(tostring(a) == 'task "a"')
    assert(next(a) == nil)
    assert(getmetatable(a) == "task")
    assert(not pcall(setmetatable, a, {}))
    assert(tostring(workflow.define("w")) == 'workflow "w"')
  )")
            .empty());
}

TEST_CASE("a task object tells how it travels") {
  DslFixture fixture;
  REQUIRE(fixture.load(R"(object = task("a"):command("true"):build())").ok());
  lua_State* L = fixture.state();
  lua_getglobal(L, "object");
  REQUIRE(lua_getmetatable(L, -1) == 1);
  lua_getfield(L, -1, "__portable");
  lua_pushvalue(L, -3);
  REQUIRE(lua_pcall(L, 1, 1, 0) == 0);
  CHECK(std::string(lua_tostring(L, -1)) == "a");
  lua_pop(L, 3);
}

TEST_CASE("nothing can be declared after the file has loaded") {
  DslFixture fixture;
  const Workflow workflow = fixture.loaded(R"(
    task("a"):command("true"):on_success(function() task("late") end):build()
  )");
  const auto handler = std::get<PlanFunction>(*workflow.tasks.at(0).on_success);
  CHECK(fixture.call(handler) == "tasks.lua:2: a task can be declared only while the file loads");
}

}  // namespace
}  // namespace sloth
