// JsonConsole: one event per line as JSON on stdout, and nothing else there.
//
// Thread-safe.
#pragma once

#include "cmd/output_file.h"
#include "runner/task/event.h"

namespace sloth {

class JsonConsole final : public EventSink {
 public:
  // `out` outlives it.
  explicit JsonConsole(OutputFile& out) : out_(out) {}

  void on_event(const Event& event) override;

 private:
  OutputFile& out_;
};

}  // namespace sloth
