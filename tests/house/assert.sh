#!/usr/bin/env bash
# Sourced by the tests beside it: a temporary directory and a few assertions that say what went wrong.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

fail() {
  printf 'FAILED: %s\n' "$@" >&2
  exit 1
}

# run COMMAND...: its exit code in $code, everything it printed in $output.
run() {
  code=0
  output=$("$@" </dev/null 2>&1) || code=$?
}

expect_code() {
  ((code == $1)) || fail "$2: exit code $code instead of $1; it printed:" "$output"
}

expect_output() {
  [[ $output == *"$1"* ]] || fail "\"$1\" is missing from:" "$output"
}

expect_no_output_of() {
  [[ $output != *"$1"* ]] || fail "\"$1\" should not be in:" "$output"
}
