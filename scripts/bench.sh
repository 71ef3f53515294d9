#!/usr/bin/env bash
# Measures the program, beside make, bash, Go and oneTBB where they are there; docs/performance.md explains the rows.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
usage: scripts/bench.sh [--quick] [--rounds N] [--build-dir DIR] [PART...]

  PART          processes, goroutines, http, executor, delegation; default: all, in this order
  --quick       one round and smaller sizes: does it work?
  --rounds N    how often each figure is taken; default 5
  --build-dir   default build/release. What is missing there is built; what is there is taken as it is

The output is Markdown tables. Take figures from a machine that does nothing else.
END
}

bench=$PWD/tests/bench build=build/release rounds=5 quick=false parts=()
while (($# > 0)); do
  case $1 in
    --quick) quick=true rounds=1 ;;
    --rounds)
      rounds=${2-}
      [[ $rounds =~ ^[1-9][0-9]*$ ]] || { usage >&2; echo "bench: --rounds needs a number" >&2; exit 2; }
      shift ;;
    --build-dir)
      build=${2-}
      [[ $build ]] || { usage >&2; echo "bench: --build-dir needs a directory" >&2; exit 2; }
      shift ;;
    processes | goroutines | http | executor | delegation) parts+=("$1") ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; echo "bench: unknown argument \"$1\"" >&2; exit 2 ;;
  esac
  shift
done
if ((${#parts[@]} == 0)); then parts=(processes goroutines http executor delegation); fi

source "$bench/measure.sh"
for part in "${parts[@]}"; do source "$bench/$part.sh"; done

# build_target NAME FILE: builds it if the file is missing; 1 when that build directory has no such target.
build_target() {
  [[ ! -x $2 ]] || return 0
  if [[ ! -e $build/build.ninja ]]; then
    [[ $build == build/release ]] || fail "$build is not a build directory"
    cmake --preset release >&2 ||
      fail "the release preset cannot be configured" "scripts/bootstrap.sh --tests installs what it needs"
  fi
  if ! grep -q "^$1: " <<<"$(cmake --build "$build" --target help)"; then
    printf "\n%s has no target %s: configure it with -DSLOTH_TESTS=ON.\n" "$build" "$1"
    return 1
  fi
  cmake --build "$build" --target "$1" >&2 || fail "target $1 cannot be built in $build"
}

sloth=$PWD/$build/sloth
[[ $build != /* ]] || sloth=$build/sloth
build_target sloth "$sloth" || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What the runs record stays out of the user's own state; nothing is ever written to this pipe.
export XDG_STATE_HOME=$work/state
mkfifo "$work/silence"
exec {silence}<>"$work/silence"

printf '%s, %d cores, %s; load before: %s\n' "$("$sloth" version | head -n 1)" "$(nproc)" \
  "$(. /etc/os-release && echo "$PRETTY_NAME")" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
for part in "${parts[@]}"; do "$part"; done
printf '\nLoad after: %s; %d s.\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)" "$SECONDS"
