#!/usr/bin/env bash
# Sets up this machine, builds and runs the tests; the last lines are ctest's own summary.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
usage: scripts/test.sh [--all | PRESET...]

  (nothing)  the release preset: the file that gets installed, and every test
  --all      release, then asan and tsan (what the gate runs)
  PRESET     any of dev, release, asan, tsan, tidy
END
}

presets=()
for argument in "$@"; do
  case $argument in
    --all) presets+=(asan tsan release) ;;
    dev | release | asan | tsan | tidy) presets+=("$argument") ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; echo "test.sh: unknown argument \"$argument\"" >&2; exit 2 ;;
  esac
done
if ((${#presets[@]} == 0)); then presets=(release); fi

needs=--tests
if [[ " ${presets[*]} " =~ \ (dev|asan|tsan|tidy)\  ]]; then needs=--dev; fi
scripts/bootstrap.sh $needs

# The thread sanitizer of clang 14 cannot lay out its memory when the kernel randomises more than 28 bits of addresses.
test_preset() {
  local bits=0
  if [[ $1 == tsan ]]; then bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0); fi
  if ((bits > 28)); then
    setarch "$(uname -m)" -R ctest --preset "$1"
  else
    ctest --preset "$1"
  fi
}

# Again what went wrong: a log that was cut in the middle still tells it. ctest leaves the names, one "NUMBER:NAME" a
# line, and every test's output between two rulers.
retell() {
  local directory=build/$1/Testing/Temporary
  printf '== %s: failed\n' "$1"
  if [[ ! -s $directory/LastTestsFailed.log ]]; then
    echo "no test failed: see above what stopped the build or ctest"
    return
  fi
  sed 's/^[0-9]*:/  /' "$directory/LastTestsFailed.log"
  local name
  while IFS= read -r name; do
    printf -- '-- %s\n' "$name"
    awk -v name="$name" '
      /^[0-9]+\/[0-9]+ Testing: / { mine = (substr($0, index($0, ": ") + 2) == name); next }
      /^<end of output>$/ { mine = 0 }
      mine { line[++count] = $0 }
      END { for (i = count > 40 ? count - 39 : 1; i <= count; ++i) print line[i] }' "$directory/LastTest.log"
  done < <(head -n 5 "$directory/LastTestsFailed.log" | sed 's/^[0-9]*://')
}

# One preset's failure does not hide another's. Nothing is printed after a good last one: its summary ends the output.
failed=()
for preset in "${presets[@]}"; do
  printf '== %s (%d s since the start)\n' "$preset" "$SECONDS"
  rm -f "build/$preset/Testing/Temporary/LastTestsFailed.log"
  if ! { cmake --preset "$preset" && cmake --build --preset "$preset" && test_preset "$preset"; }; then
    failed+=("$preset")
  fi
done
if ((${#failed[@]} > 0)); then
  for preset in "${failed[@]}"; do retell "$preset"; done
  echo "test.sh: failed: ${failed[*]}" >&2
  exit 1
fi
