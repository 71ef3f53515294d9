#!/usr/bin/env bash
# Builds sloth and installs it; run again to upgrade in place.
set -euo pipefail

usage() {
  cat <<'END'
usage: ./install.sh [--prefix DIR] [--from DIR]
       ./install.sh [--prefix DIR] --uninstall

Builds the release and installs `sloth` (and its other name, `sloth-runner`): under /usr/local as root, else under
~/.local. Run it again to upgrade; running programs are not disturbed.

  --prefix DIR   install under DIR/bin instead
  --from DIR     install the `sloth` that DIR holds, without building
  --uninstall    remove what was installed; run logs and settings in your home stay
  --help         show this
END
}

say() { printf 'install: %s\n' "$*"; }
fail() {
  printf 'install: %s\n' "$@" >&2
  exit 1
}

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if ((EUID == 0)); then prefix=/usr/local; else prefix=${HOME:?is not set; give --prefix DIR}/.local; fi
from='' uninstall=false
while (($# > 0)); do
  case $1 in
    --prefix | --from)
      [[ -n ${2-} ]] || fail "$1 needs a directory: $1 DIR"
      if [[ $1 == --prefix ]]; then prefix=$2; else from=$2; fi
      shift
      ;;
    --prefix=?*) prefix=${1#*=} ;;
    --from=?*) from=${1#*=} ;;
    --uninstall) uninstall=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "unknown argument \"$1\"" ;;
  esac
  shift
done
[[ $prefix == /* ]] || prefix=$PWD/$prefix
bin=$prefix/bin

if $uninstall; then
  [[ -z $from ]] || fail "--from does not go with --uninstall"
  removed=()
  for name in sloth sloth-runner; do
    if [[ -e $bin/$name || -L $bin/$name ]]; then
      rm -- "$bin/$name" || fail "cannot remove $bin/$name; run this as the user who installed it"
      removed+=("$bin/$name")
    fi
  done
  if ((${#removed[@]} == 0)); then fail "there is no sloth in $bin; was it installed with another --prefix?"; fi
  say "removed ${removed[*]}"
  exit 0
fi

# Runs a command with its output in a file, shown only when it fails; on a terminal, ninja's [n/m] is shown as it goes.
quietly() {
  local log=$source_dir/build/install.log
  if ! "$@" 2>&1 </dev/null | tee "$log" | show_progress; then
    echo >&2
    grep -v 'in statically linked applications requires\|: in function' "$log" | tail -n 40 >&2
    fail "this failed: $*" "(the whole output is in $log)"
  fi
}
show_progress() {
  if [[ ! -t 1 ]]; then cat >/dev/null; return; fi
  sed -nuE 's|^(\[[0-9]+/[0-9]+\]).*|\1|p' | while IFS= read -r step; do printf '\rinstall: building %s ' "$step"; done
  printf '\r\033[K'
}

if [[ -n $from ]]; then
  built=$from/sloth
  [[ -f $built && -x $built ]] || fail "$from holds no program named sloth; build one with ./install.sh without --from"
else
  say "packages"
  "$source_dir/scripts/bootstrap.sh"
  say "building (minutes the first time; seconds when little changed)"
  mkdir -p "$source_dir/build"
  cd "$source_dir"
  quietly cmake --preset release -DSLOTH_TESTS=OFF
  quietly cmake --build --preset release --target sloth
  cd "$OLDPWD"
  built=$source_dir/build/release/sloth
fi

mkdir -p -- "$bin" || fail "cannot create $bin; run this as root, or choose a place with --prefix DIR"
[[ -w $bin ]] || fail "cannot write to $bin; run this as root, or choose a place with --prefix DIR"
# Prepared beside its place and then renamed over it: an upgrade never shows half a file, and a running sloth keeps its own.
new=$bin/.sloth.new.$$
trap 'rm -f -- "$new" "$new.link"' EXIT
cp -- "$built" "$new"
chmod 755 "$new"
if command -v strip >/dev/null; then strip "$new" 2>/dev/null || true; fi
version=$("$new" version </dev/null 2>&1) || fail "the new program does not run here, so nothing was changed:" "$version"
mv -f -- "$new" "$bin/sloth"
ln -s sloth "$new.link"
mv -fT -- "$new.link" "$bin/sloth-runner"

say "${version%%$'\n'*} is installed as $bin/sloth, in $SECONDS s"
case :$PATH: in
  *:"$bin":*) ;;
  *) say "$bin is not on your PATH; for this shell: export PATH=\"$bin:\$PATH\"" ;;
esac
