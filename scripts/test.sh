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

# One preset's failure does not hide another's. Nothing is printed after a good last one: its summary ends the output.
failed=()
for preset in "${presets[@]}"; do
  printf '== %s (%d s since the start)\n' "$preset" "$SECONDS"
  if ! { cmake --preset "$preset" && cmake --build --preset "$preset" && test_preset "$preset"; }; then
    failed+=("$preset")
  fi
done
if ((${#failed[@]} > 0)); then
  echo "test.sh: failed: ${failed[*]}" >&2
  exit 1
fi
