#!/usr/bin/env bash
# install.sh: install, upgrade under a running program, refuse, uninstall; all in a temporary prefix.
source "$(dirname "$0")/assert.sh"

# A stand-in for the built program: a script that answers `version`, and waits when told to.
program() {  # folder version
  mkdir -p "$scratch/$1"
  cat >"$scratch/$1/sloth" <<END
#!/usr/bin/env bash
case \$1 in
  version) echo "sloth $2" ;;
  hold) echo ready; read -r _; echo "still $2" ;;
esac
END
  chmod 755 "$scratch/$1/sloth"
}
install() { run "$root/install.sh" --prefix "$scratch/prefix" "$@"; }
bin=$scratch/prefix/bin

run "$root/install.sh" --help
expect_code 0 "--help"
expect_output "usage: ./install.sh"
expect_output "--uninstall"

run "$root/install.sh" --frobnicate
expect_code 1 "an unknown argument"
expect_output 'unknown argument "--frobnicate"'

install --from
expect_code 1 "--from without a directory"
expect_output "--from DIR"

install --from "$scratch"
expect_code 1 "a directory without the program"
expect_output "holds no program named sloth"

program old 1.0.0
install --from "$scratch/old"
expect_code 0 "the first installation"
expect_output "sloth 1.0.0 is installed as $bin/sloth"
expect_output "is not on your PATH"
[[ $("$bin/sloth" version) == "sloth 1.0.0" ]] || fail "the installed program is not the one given"
[[ $("$bin/sloth-runner" version) == "sloth 1.0.0" ]] || fail "sloth-runner is not the same program"

PATH=$bin:$PATH install --from "$scratch/old"
expect_code 0 "the same version again"
expect_no_output_of "PATH"

# An upgrade replaces the file by another; the running program keeps the old one to its end.
coproc held { "$bin/sloth" hold; }
read -r ready <&"${held[0]}"
[[ $ready == ready ]] || fail "the program did not start"
program new 2.0.0
install --from "$scratch/new"
expect_code 0 "an upgrade under a running program"
[[ $("$bin/sloth" version) == "sloth 2.0.0" ]] || fail "the upgrade did not arrive"
echo go >&"${held[1]}"
read -r answer <&"${held[0]}"
[[ $answer == "still 1.0.0" ]] || fail "the upgrade disturbed a running program: $answer"
wait

# A program that does not run here must not replace one that does.
mkdir "$scratch/broken"
printf '#!/usr/bin/env bash\necho "wrong machine"; exit 1\n' >"$scratch/broken/sloth"
chmod 755 "$scratch/broken/sloth"
install --from "$scratch/broken"
expect_code 1 "a program that does not run"
expect_output "wrong machine"
[[ $("$bin/sloth" version) == "sloth 2.0.0" ]] || fail "a broken program replaced a good one"

[[ $(ls -A "$bin" | sort | tr '\n' ' ') == "sloth sloth-runner " ]] || fail "left behind: $(ls -A "$bin")"

echo mine >"$bin/other"
install --uninstall
expect_code 0 "--uninstall"
[[ $(ls -A "$bin") == other ]] || fail "after --uninstall: $(ls -A "$bin")"
install --uninstall
expect_code 1 "--uninstall of nothing"
expect_output "there is no sloth in $bin"

# The built program itself, when there is one.
if [[ -x ${SLOTH_BINARY_DIR-}/sloth ]]; then
  install --from "$SLOTH_BINARY_DIR"
  expect_code 0 "installing the built program"
  version=$(sed -nE 's/^project\(.* VERSION ([0-9.]+).*/\1/p' "$root/CMakeLists.txt")
  [[ $version && $output == *"sloth $version"*"is installed"* ]] || fail "not version $version:" "$output"
fi
