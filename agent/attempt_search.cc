#include "agent/attempt_search.h"

#include "agent/attempt_launch.h"
#include "runner/os/process_table.h"

namespace sloth {

std::optional<ProcessName> find_attempt(const std::string& id) {
  const std::string entry = "SLOTH_ATTEMPT=" + id;
  std::optional<ProcessName> found;
  std::string buffer;
  for (const ProcessEntry& process : list_processes().entries) {
    if (process.session != process.pid || environment_holds(process.pid, entry, buffer) != Holds::kYes)
      continue;
    const auto record = process_record(process.pid);
    if (!record || !record->living || (found && found->start <= record->start)) continue;
    found = ProcessName{process.pid, record->start, boot_id()};
  }
  return found;
}

}  // namespace sloth
