// The global `values`: files given with -v, then SLOTH_VALUE_A__B of the environment, then --set; later ones
// win.
//
// Thread-safe: pure functions, apart from reading files.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/value.h"

namespace sloth {

struct ValueSources {
  std::vector<std::string> files;  // YAML (or JSON), each a map; maps merge key by key, lists are replaced
  std::vector<std::pair<std::string, std::string>> environment;  // all of it; SLOTH_VALUE_* are picked
  std::vector<std::string> settings;                             // "a.b=c"
};

Result<Value> assemble_values(const ValueSources& sources);

// "a=b" into its two halves; kInvalid without "=" or with an empty name. `flag` is for the message.
Result<std::pair<std::string, std::string>> split_setting(const std::string& text, const std::string& flag);

}  // namespace sloth
