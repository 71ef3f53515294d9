#!/usr/bin/env bash
# bootstrap.sh: asks apt only for what is missing, and says what to do where there is no apt. Runs against fake tools.
source "$(dirname "$0")/assert.sh"

mkdir "$scratch/bin" "$scratch/bare"
for tool in bash env grep cat mktemp rm tail; do
  ln -s "$(command -v "$tool")" "$scratch/bin/"
  ln -s "$(command -v "$tool")" "$scratch/bare/"
done
fake() {  # name text
  printf '#!/usr/bin/env bash\n%s\n' "$2" >"$scratch/bin/$1"
  chmod 755 "$scratch/bin/$1"
}
fake apt-get 'echo "$*" >>"$LOG"; exit "${APT_CODE-0}"'
fake sudo 'exec "$@"'
export LOG=$scratch/log
bootstrap() {
  : >"$LOG"
  run env PATH="$scratch/bin" "$BASH" "$root/scripts/bootstrap.sh" "$@"
}
all_installed='shift 2; for name in "$@"; do echo "$name installed"; done'

fake dpkg-query "$all_installed"
bootstrap --dev
expect_code 0 "nothing to do"
[[ -z $output && ! -s $LOG ]] || fail "with everything there it still did: $output" "$(cat "$LOG")"

fake dpkg-query "$all_installed | grep -v -e ninja -e libluajit; echo 'libluajit-5.1-dev config-files'; exit 1"
bootstrap
expect_code 0 "two packages missing"
[[ $(tail -n 1 "$LOG") == *"install -y --no-install-recommends ninja-build libluajit-5.1-dev" ]] ||
  fail "it asked apt for: $(cat "$LOG")"

APT_CODE=100 bootstrap
expect_code 1 "apt fails"
expect_output "ninja-build libluajit-5.1-dev"

bootstrap --frobnicate
expect_code 1 "an unknown argument"
expect_output 'unknown argument "--frobnicate"'

bootstrap --list
[[ $output != *clang* && $output != *catch2* ]] || fail "a plain build asks for too much: $output"
bootstrap --list --dev
[[ $output == *clang* && $output == *catch2* ]] || fail "--dev asks for too little: $output"

run env PATH="$scratch/bare" "$BASH" "$root/scripts/bootstrap.sh"
expect_code 1 "no apt"
expect_output "not a Debian system"
expect_output "--from DIR"
