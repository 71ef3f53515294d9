// The fenced ```lua blocks of a module's stub, so that a test can run what the documentation shows.
//
// Thread-safe: a pure function.
//
//   for (const StubExample& example : stub_examples(module.stub)) CHECK(lua.run(example.text).ok());
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace sloth::testing {

struct StubExample {
  int line = 0;  // of the stub, where the block starts
  std::string text;
};

inline std::vector<StubExample> stub_examples(std::string_view stub) {
  std::vector<StubExample> examples;
  bool inside = false;
  for (int line = 1; !stub.empty(); ++line) {
    const std::size_t end = std::min(stub.find('\n'), stub.size());
    std::string_view text = stub.substr(0, end);
    stub.remove_prefix(std::min(end + 1, stub.size()));
    if (!text.starts_with("---")) {
      inside = false;
      continue;
    }
    text.remove_prefix(3);
    if (text == "```lua") {
      inside = true;
      examples.push_back({line, ""});
    } else if (text == "```") {
      inside = false;
    } else if (inside) {
      examples.back().text += std::string(text) + "\n";
    }
  }
  return examples;
}

}  // namespace sloth::testing
