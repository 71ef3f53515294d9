#include "cmd/json_console.h"

#include "runner/task/event_json.h"

namespace sloth {

void JsonConsole::on_event(const Event& event) { out_.write(event_json(event) + "\n"); }

}  // namespace sloth
