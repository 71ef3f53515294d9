#!/usr/bin/env bash
# The tree obeys the layer table, and the check that says so finds each kind of breach.
source "$(dirname "$0")/assert.sh"

run "$root/scripts/check_layers.sh"
expect_code 0 "the source tree has breaches"

put() {  # path text
  mkdir -p "$scratch/tree/$(dirname "$1")"
  printf '%b' "$2" >"$scratch/tree/$1"
}
check() {
  run "$root/scripts/check_layers.sh" "$scratch/tree"
}

put runner/base/result.h '#pragma once\n#include <string>\n'
put runner/base/README.md 'base\n'
put runner/exec/strand.h '#pragma once\n#include "runner/base/result.h"\n'
put runner/exec/strand.cc '#include "runner/exec/strand.h"\n'
put runner/exec/README.md 'exec\n'
put runner/store/key_value.h '#pragma once\n'
put runner/store/run_log.h '#pragma once\n'
put runner/store/README.md 'store\n'
put modules/state.h '#pragma once\n#include "runner/store/key_value.h"\n'
put modules/README.md 'modules\n'
check
expect_code 0 "a tidy tree is refused"

breaks() {  # path text message: the file is a breach, and taking it away heals the tree
  put "$1" "$2"
  check
  expect_code 1 "a breach goes unseen ($3)"
  expect_output "$3"
  rm "$scratch/tree/$1"
}
breaks runner/base/up.cc '\n#include "runner/exec/strand.h"\n' 'runner/base/up.cc:2: base includes "runner/exec/strand.h"'
breaks modules/log.cc '#include "runner/store/run_log.h"\n' 'modules includes "runner/store/run_log.h"'
breaks runner/exec/local.cc '#include "strand.h"\n' 'no "strand.h" in any room'
breaks runner/exec/gone.cc '#include "runner/base/gone.h"\n' 'no "runner/base/gone.h" in any room'
breaks runner/extra/a.cc '#include "runner/base/result.h"\n' 'room "extra" is not in the table'
breaks runner/base/json.h '#pragma once\n#include <nlohmann/json.hpp>\n' 'a header may not include <nlohmann/json.hpp>'
breaks runner/base/twice.h 'int x;\n' 'no #pragma once'
breaks runner/base/result.cc '#include <string>\n' 'its first include must be "runner/base/result.h"'
breaks notes.txt 'remember\n' "not one of the root's entries"
rmdir "$scratch/tree/runner/extra"

rm "$scratch/tree/runner/exec/README.md"
check
expect_code 1 "a room without README"
expect_output 'runner/exec: no README.md'

run "$root/scripts/check_layers.sh" "$scratch"
expect_code 2 "an empty tree"
