#!/usr/bin/env bash
# Before you send a change: format, layers, lock annotations and clang-tidy, then the tests as the gate runs them.
#
#   scripts/check.sh           everything
#   scripts/check.sh --quick   no build: format and layers only
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1-} in
  '' | --quick) ;;
  *) echo "usage: scripts/check.sh [--quick]" >&2; exit 2 ;;
esac
scripts/format.sh --check
scripts/check_layers.sh
if [[ ${1-} != --quick ]]; then scripts/test.sh tidy --all; fi
