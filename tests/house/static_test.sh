#!/usr/bin/env bash
# The release is one file: position independent, and in need of no shared library.
source "$(dirname "$0")/assert.sh"

sloth=$SLOTH_BINARY_DIR/sloth
[[ -x $sloth ]] || fail "$sloth is not built"

run ldd "$sloth"
expect_output "statically linked"

run readelf -hd "$sloth"
expect_output "DYN (Position-Independent Executable file)"
expect_no_output_of "(NEEDED)"

[[ $(readlink "$SLOTH_BINARY_DIR/sloth-runner") == sloth ]] || fail "no sloth-runner link beside it"
