// The two streams and the severities that a task's output and log lines have everywhere.
//
// Thread-safe: pure functions.
#pragma once

namespace sloth {

enum class OutputStream { kStdout, kStderr };
// "stdout", "stderr".
const char* stream_name(OutputStream stream);

enum class Severity { kDebug, kInfo, kSuccess, kWarn, kError };
// "debug", "info", "success", "warn", "error".
const char* severity_name(Severity severity);

}  // namespace sloth
