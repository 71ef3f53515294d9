// crash_point(): named places where a test lets this process die as kill -9 would.
//
// Thread-safe. SLOTH_CRASH_AT=name:n in the environment: the n-th passage of that place (1 when left out) is
// the last thing the process does. Honoured in builds with SLOTH_CRASH_POINTS (all but Release); otherwise
// does nothing.
#pragma once

namespace sloth {

// Master: offer_committed, spool_written, result_committed.
// Agent: accepted_committed (not started yet), started_committed, process_started, result_seen,
// result_committed.
void crash_point(const char* name);

}  // namespace sloth
