#include "runner/base/output.h"

namespace sloth {

const char* stream_name(OutputStream stream) { return stream == OutputStream::kStdout ? "stdout" : "stderr"; }

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::kDebug: return "debug";
    case Severity::kInfo: return "info";
    case Severity::kSuccess: return "success";
    case Severity::kWarn: return "warn";
    case Severity::kError: return "error";
  }
  return "?";
}

}  // namespace sloth
