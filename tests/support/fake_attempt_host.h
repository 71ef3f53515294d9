// FakeAttemptHost: attempts without processes, played by the test; they survive the agent that started them.
//
// Thread-safe. The test owns it and hands it to one agent after the other over the same directory: what runs
// here goes on between them, as real processes do.
//
//   host.wait_started(id);
//   host.write(id, "hello\n");                        // one record into its spool
//   host.end(id, AttemptState::kSucceeded, outcome);  // the process is gone and has left its result
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/attempt_process.h"
#include "runner/base/mutex.h"

namespace sloth {

class FakeAttemptHost final : public AttemptHost {
 public:
  FakeAttemptHost();
  ~FakeAttemptHost() override;

  Result<std::unique_ptr<AttemptProcess>> start(AttemptPlan plan, Strand strand,
                                                AttemptEvents events) override;
  std::unique_ptr<AttemptProcess> adopt(AttemptPlan plan, ProcessName name, Strand strand,
                                        AttemptEvents events) override;

  // Within a minute, or false.
  bool wait_started(const std::string& id, int times = 1);
  [[nodiscard]] int starts(const std::string& id) const;
  [[nodiscard]] int starts() const;
  [[nodiscard]] bool runs(const std::string& id) const;
  [[nodiscard]] std::optional<std::string> cancel_reason(const std::string& id) const;
  // What it was started with. REQUIRES: it was.
  [[nodiscard]] AttemptPlan plan(const std::string& id) const;

  void write(const std::string& id, const std::string& bytes);
  // Into the spool as they are.
  void write_raw(const std::string& id, const std::string& bytes);
  // Nothing when it has ended before.
  void end(const std::string& id, AttemptState state, Outcome outcome = {});
  // Without a result: failed when its agent sees it, interrupted when none does.
  void die(const std::string& id);
  // The machine went down: all die, and no name means anything any more.
  void reboot();

  // The next so many starts give this error.
  void fail_starts(int times, Error error);
  // Cancel is heard and not obeyed.
  void ignore_cancel(bool ignore);
  // Called on the agent's strand as the last thing before a process exists.
  void before_start(std::function<void(const std::string& id)> call);

 private:
  struct World;
  class Process;
  const std::shared_ptr<World> world_;
};

}  // namespace sloth
