#!/usr/bin/env bash
# Formats our C++ in place, or with --check only says which files need it.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v clang-format >/dev/null || { echo "format: no clang-format; run scripts/bootstrap.sh --dev" >&2; exit 1; }
case ${1-} in
  '') options=(-i) ;;
  --check) options=(--dry-run -Werror) ;;
  *) echo "usage: scripts/format.sh [--check]" >&2; exit 2 ;;
esac
find runner agent modules cmd tests scripts \( -name '*.h' -o -name '*.cc' -o -name '*.c' \) -print0 |
  xargs -0 -r clang-format "${options[@]}"
