// What /proc says about the processes of this machine.
//
// Thread-safe: free functions. A process that vanishes while it is read is left out, never an error.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sloth {

// What is cheap to know of every process.
struct ProcessEntry {
  pid_t pid = 0;
  pid_t group = 0;
  pid_t session = 0;
};

struct ProcessList {
  // All that we may see but the kernel's own threads, in rising order of pid as a rule.
  std::vector<ProcessEntry> entries;
  // False when one ended between being listed and being read: what it left behind may not be listed.
  bool complete = true;
};
ProcessList list_processes();

// More of one process, for about ten times the cost.
struct ProcessRecord {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  // In clock ticks since boot. A pid with another start is another process.
  std::uint64_t start = 0;
  // A zombie whose other threads still run counts as living.
  bool living = false;
  // Started with no environment at all. False as well when that is not ours to see.
  bool empty_environment = false;
};
// Nothing when it is gone.
std::optional<ProcessRecord> process_record(pid_t pid);

// Zombies too. May miss one when another of them is reaped meanwhile.
std::vector<pid_t> children_of(pid_t pid);
// Those of its first thread, which is the one that orphans are given to: quick for a process of many threads.
std::vector<pid_t> orphans_of(pid_t pid);

enum class Holds { kYes, kNo, kUnknown };

// Whether the environment that the process was started with holds `entry` ("NAME=value") or one below
// it ("NAME=value/part"). kNo for processes of other users, whose environment is not ours to read;
// kUnknown when it has just ended or is between two programs. `buffer` is scratch.
Holds environment_holds(pid_t pid, std::string_view entry, std::string& buffer);

// Its arguments with spaces between, at most `limit` bytes; "[name]" when it has none.
std::string process_command(pid_t pid, std::size_t limit);

}  // namespace sloth
