// Host: the world as the code in one VM sees it: where it runs, its environment, where output goes.
//
// Strand-confined: call only on its strand. Owned by whoever opens the VM; outlives it. `write` and `log`
// must not block for long and must not call back into the VM.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/base/output.h"
#include "runner/base/unique_function.h"
#include "runner/base/value.h"

namespace sloth {

struct Host {
  std::string workdir;  // absolute: relative paths in scripts start here
  std::string
      file_directory;   // absolute: import and require start here (the importing file's own directory first)
  std::string attempt;  // SLOTH_ATTEMPT of every child started from this VM
  std::vector<std::pair<std::string, std::string>> environment;  // what os.getenv and children see
  Value values;                                                  // the global `values`
  bool may_read_sources = true;  // false in an attempt: require/import find only what travelled with it

  UniqueFunction<void(OutputStream, std::string_view)> write;
  UniqueFunction<void(Severity, std::string_view, const Value& fields)> log;
};

}  // namespace sloth
