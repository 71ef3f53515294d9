// README and every page under docs/: their code runs, and their links lead somewhere.
//
// Each page has a directory. Its blocks run there in order, as files of their own:
//   ```lua   `sloth run block.lua --local` succeeds
//   ```sh    `sh -e`, with sloth on the PATH, succeeds
//   others   are only text
// A comment above a block says otherwise, `<!-- test: DIRECTIVE; DIRECTIVE -->`:
//   expect-exit N     it ends with N
//   file NAME         it is saved as NAME for what follows; a .lua one is checked, not run
//   output            every line of this ```text block is in the output of the block that ran before, in this
//   order agent             it starts an agent, which stays until the page ends; from here on ```lua runs
//   without --local skip because ...  it does not run here
// http://localhost:8080 stands for a server of the test's.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/docs/fenced_blocks.h"
#include "tests/docs/sandbox.h"
#include "tests/support/http_server.h"

namespace fs = std::filesystem;
using namespace sloth::testing;

namespace {

// Relative to the source tree, sorted.
std::vector<std::string> pages() {
  std::vector<std::string> found = {"README.md", "examples/README.md"};
  const fs::path root = SLOTH_SOURCE_DIR;
  for (const auto& entry : fs::recursive_directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md") found.push_back(fs::relative(entry.path(), root).string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

struct Directives {
  bool output = false;
  bool agent = false;
  bool skip = false;
  int exit_code = 0;
  std::optional<std::string> file;
};

Directives read(const FencedBlock& block) {
  Directives result;
  for (const std::string& text : block.directives) {
    if (text == "output") {
      result.output = true;
    } else if (text == "agent") {
      result.agent = true;
    } else if (text.starts_with("skip because ")) {
      result.skip = true;
    } else if (text.starts_with("expect-exit ")) {
      result.exit_code = std::stoi(text.substr(12));
    } else if (text.starts_with("file ")) {
      result.file = text.substr(5);
    } else {
      FAIL("unknown directive \"" << text << "\"");
    }
  }
  return result;
}

class Page {
 public:
  explicit Page(const HttpServer& server) : server_(server) {}

  void take(const FencedBlock& block) {
    const Directives directives = read(block);
    if (directives.skip) return;
    if (directives.output) return compare(block.text);
    const std::string text = with_server(block.text);
    if (directives.agent) {
      agents_.push_back(std::make_unique<BackgroundAgent>(sandbox_, text));
      return;
    }
    if (directives.file) {
      sandbox_.write(*directives.file, text);
      if (!directives.file->ends_with(".lua")) return;
      last_ = sandbox_.shell("exec sloth check " + *directives.file);
    } else if (block.language == "lua") {
      last_ = sandbox_.run(text, agents_.empty() ? "--local" : "");
    } else if (block.language == "sh" || block.language == "bash") {
      last_ = sandbox_.shell(text);
    } else {
      return;
    }
    INFO(text << "--- printed\n" << last_.output);
    CHECK(last_.exit_code == directives.exit_code);
  }

 private:
  std::string with_server(std::string text) const {
    static const std::string kPlaceholder = "http://localhost:8080";
    return text.find(kPlaceholder) == std::string::npos ? text : replaced(text, kPlaceholder, server_.url());
  }

  void compare(const std::string& shown) const {
    std::size_t at = 0;
    for (const std::string& line : lines_of(shown)) {
      INFO("\"" << line << "\" is not in, or not at its place in\n" << last_.output);
      const std::size_t found = last_.output.find(trimmed(line), at);
      CHECK(found != std::string::npos);
      if (found != std::string::npos) at = found;
    }
  }

  const HttpServer& server_;
  Sandbox sandbox_;
  std::vector<std::unique_ptr<BackgroundAgent>> agents_;
  Run last_;
};

}  // namespace

TEST_CASE("the code of every page runs") {
  const HttpServer server;
  for (const std::string& name : pages()) {
    DYNAMIC_SECTION(name) {
      Page page(server);
      int skipped = 0;
      for (const FencedBlock& block : fenced_blocks(source_text(name))) {
        INFO(name << ":" << block.line);
        page.take(block);
        if (read(block).skip) ++skipped;
      }
      CHECK(skipped <= 2);
    }
  }
}

TEST_CASE("the links of every page lead to a file") {
  for (const std::string& name : pages()) {
    for (const std::string& link : link_targets(source_text(name))) {
      if (link.starts_with("http") || link.starts_with('#')) continue;
      INFO(name << " -> " << link);
      const fs::path target =
          fs::path(SLOTH_SOURCE_DIR) / fs::path(name).parent_path() / link.substr(0, link.find('#'));
      CHECK(fs::exists(target));
    }
  }
}

TEST_CASE("a Portuguese page of the documentation shows the code of its English sister") {
  // Only the comments are translated.
  const auto code = [](const std::string& name) {
    std::string text;
    for (const FencedBlock& block : fenced_blocks(source_text(name))) {
      for (const std::string& line : lines_of(block.text))
        text += trimmed(line.substr(0, line.find("--"))) + "\n";
    }
    return text;
  };
  for (const std::string& name : pages()) {
    // The README's few strings are translated too.
    if (!name.ends_with(".pt.md") || name == "docs/README.pt.md") continue;
    INFO(name);
    CHECK(code(name) == code(name.substr(0, name.size() - 6) + ".md"));
  }
}
