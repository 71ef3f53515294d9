#include "modules/command_line.h"

#include <catch2/catch.hpp>

namespace sloth {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("a plain command is split at blanks as a shell does") {
  CHECK(*simple_command("git status -s") == Words{"git", "status", "-s"});
  CHECK(*simple_command("  /bin/true\t\n") == Words{"/bin/true"});
  CHECK(*simple_command("make -j2 CC=gcc-12 a,b user@host:80 50%") ==
        Words{"make", "-j2", "CC=gcc-12", "a,b", "user@host:80", "50%"});
}

TEST_CASE("what a shell would do more with than split stays with the shell") {
  for (const char* text :
       {"",         "  \n", "ls | wc", "ls > x", "echo $HOME", "ls *.c",   "ls ?",       "ls [ab]",
        "a && b",   "a; b", "a &",     "(a)",    "{ a; }",     "echo 'x'", "echo \"x\"", "echo \\x",
        "echo `x`", "ls ~", "! a",     "# note", "a\nb",       "a #b",     "a\rb",       "caf\xc3\xa9"}) {
    CAPTURE(text);
    CHECK_FALSE(simple_command(text));
  }
}

TEST_CASE("assignments and the shell's own words stay with the shell") {
  for (const char* text :
       {"A=1 make",  "A=1",           "cd /tmp",  "exit 3", "export A", "true",     "false",
        "echo hi",   "test -f x",     ". ./env",  ":",      "if",       "while",    "exec ls",
        "umask 022", "ulimit -n",     "kill 1",   "pwd",    "time ls",  "source x", "wait",
        "type ls",   "command -v ls", "printf x", "set -e", "read x",   "let a"}) {
    CAPTURE(text);
    CHECK_FALSE(simple_command(text));
  }
}

}  // namespace
}  // namespace sloth
