// The record of runs.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/support/sloth_program.h"

namespace sloth {
namespace {

const char kTask[] = R"(task("t"):command("touch ran"):build())";

TEST_CASE("a run is recorded under the XDG state directory") {
  Sloth sloth;
  sloth.file("tasks.lua", kTask).run("run").code(0);
  CHECK(sloth.content(".state/sloth/runs.db").starts_with("SQLite format 3"));
}

TEST_CASE("a record that cannot be written is exit 6 and nothing ran") {
  Sloth sloth;
  sloth.file("tasks.lua", kTask)
      .file("blocked", "a file")
      .env("XDG_STATE_HOME", sloth.directory() + "/blocked");
  sloth.run("run").code(6).stderr_has("XDG_STATE_HOME").stderr_has("blocked");
  CHECK(::access((sloth.directory() + "/ran").c_str(), F_OK) != 0);
}

TEST_CASE("a damaged record is named and left alone") {
  Sloth sloth;
  sloth.file("tasks.lua", kTask)
      .file(".state/sloth/runs.db",
            "this is no database, but somebody's file, long enough to be looked at........");
  sloth.run("run").code(6).stderr_has("runs.db");
  CHECK(sloth.content(".state/sloth/runs.db").starts_with("this is no database"));
}

}  // namespace
}  // namespace sloth
