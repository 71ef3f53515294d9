#include "cmd/loading.h"

#include <fmt/format.h>
#include <unistd.h>

#include <future>

#include "cmd/exit_code.h"
#include "cmd/output_file.h"
#include "cmd/task_file.h"
#include "cmd/values.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

// The file to read; takes its word off `words` when a word names it.
Result<std::string> choose_file(const FileChoice& choice, std::vector<std::string>& words) {
  if (!choice.file.empty()) return choice.file;
  if (!words.empty() && looks_like_file(words.front())) {
    std::string file = words.front();
    words.erase(words.begin());
    return file;
  }
  std::string found = find_task_file(current_directory());
  if (!found.empty()) return found;
  if (!words.empty() && exists(words.front())) {
    found = words.front();
    words.erase(words.begin());
    return found;
  }
  return Error{
      Code::kNotFound,
      "no task file: there is no tasks.lua, tasks.sloth or sloth.lua in this directory or above it.\n"
      "Name one (sloth run FILE), or write tasks.lua, for example:\n"
      "  task(\"hello\"):command(\"echo hello\"):build()"};
}

Host host_for(App& app, const PlanVm::File& file, const Value& values, EventSink& sink) {
  Host host;
  host.workdir = file.directory;
  host.file_directory = file.directory;
  host.values = values;
  const auto event = [&app](decltype(Event::body) body) {
    return Event{app.clock().wall_ms(), app.run_id(), app.plan_vm().speaking(), "", 0, std::move(body)};
  };
  host.write = [event, &sink](OutputStream stream, std::string_view bytes) {
    sink.on_event(event(TaskOutput{stream, std::string(bytes)}));
  };
  host.log = [event, &sink](Severity severity, std::string_view text, const Value& fields) {
    sink.on_event(event(TaskLog{severity, std::string(text), fields}));
  };
  return host;
}

}  // namespace

Result<LoadedFile> load_file(App& app, const FileChoice& choice, EventSink& sink) {
  LoadedFile loaded;
  loaded.targets = choice.words;
  const Result<std::string> path = choose_file(choice, loaded.targets);
  if (!path) return path.error();
  Result<PlanVm::File> file = read_task_file(*path);
  if (!file) return file.error();
  Result<Value> values = assemble_values({choice.value_files, app.environment(), choice.settings});
  if (!values) return values.error();
  loaded.values = std::move(*values);

  loaded.plan_vm = &app.open_plan_vm(host_for(app, *file, loaded.values, sink));
  std::promise<Result<Workflow>> promise;
  loaded.plan_vm->load(std::move(*file), app.stop(),
                       [&promise](Result<Workflow> workflow) { promise.set_value(std::move(workflow)); });
  Result<Workflow> workflow = promise.get_future().get();
  if (!workflow) return workflow.error();
  loaded.workflow = std::make_shared<const Workflow>(std::move(*workflow));
  return loaded;
}

int report_error(const Error& error) {
  write_all(STDERR_FILENO, "sloth: " + error.message + "\n");
  return error.code == Code::kCancelled ? kExitInterrupted : kExitUsage;
}

}  // namespace sloth
