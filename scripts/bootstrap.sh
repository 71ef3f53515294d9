#!/usr/bin/env bash
# Installs the Debian packages that a build needs; does nothing when all of them are there.
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/bootstrap.sh [--tests] [--dev] [--list]

  (nothing)  what ./install.sh builds with
  --tests    also what the tests need
  --dev      also clang, the sanitizers, clang-tidy, clang-format and ccache (implies --tests)
  --list     print the packages and stop
END
}

build_packages=(
  g++ cmake ninja-build pkg-config
  libluajit-5.1-dev libcli11-dev nlohmann-json3-dev libasio-dev libfmt-dev libspdlog-dev libyaml-cpp-dev
  libsqlite3-dev libcurl4-openssl-dev
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler
  # The archives behind a static libcurl.
  libssl-dev libssh2-1-dev libnghttp2-dev libpsl-dev libidn2-dev libunistring-dev libbrotli-dev libzstd-dev zlib1g-dev
  # Certificates of the outside world, for https.
  ca-certificates
)
test_packages=(catch2 procps)
dev_packages=(clang lld libclang-rt-14-dev clang-tidy clang-format ccache)

fail() {
  printf 'bootstrap: %s\n' "$@" >&2
  exit 1
}

packages=("${build_packages[@]}")
tests=false dev=false list=false
for argument in "$@"; do
  case $argument in
    --tests) tests=true ;;
    --dev) tests=true dev=true ;;
    --list) list=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "unknown argument \"$argument\"" ;;
  esac
done
if $tests; then packages+=("${test_packages[@]}"); fi
if $dev; then packages+=("${dev_packages[@]}"); fi
if $list; then printf '%s\n' "${packages[@]}"; exit 0; fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "this is not a Debian system, so its packages cannot be installed from here." \
    "Either build on Debian 12 and copy the one file (./install.sh --from DIR)," \
    "or install a C++20 compiler, cmake 3.25, ninja, LuaJIT 2.1, CLI11, nlohmann_json, Asio, fmt, spdlog, yaml-cpp," \
    "SQLite 3, libcurl, OpenSSL, Protobuf and gRPC with your package manager, then:" \
    "  cmake -B build/own -G Ninja -DCMAKE_BUILD_TYPE=Release -DSLOTH_TESTS=OFF && cmake --build build/own"
fi

# dpkg-query fails when it does not know one of the names; what it prints about the others is still right.
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  if ! grep -qx -- "$package installed" <<<"$installed"; then missing+=("$package"); fi
done
if ((${#missing[@]} == 0)); then exit 0; fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || fail "these packages are missing and there is no sudo. As root, run:" \
    "  apt-get install --no-install-recommends ${missing[*]}"
  as_root=(sudo)
fi
if ! grep -q 'VERSION_ID="12"' /etc/os-release 2>/dev/null; then
  echo "bootstrap: this is not Debian 12, the system that is tested; trying the same package names" >&2
fi

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -o Dpkg::Use-Pty=0 "$@" </dev/null
}
echo "bootstrap: installing ${#missing[@]} packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A list that cannot be refreshed may still do; whether it did is what the installation says.
if ! { apt update || true; apt install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  fail "apt-get failed (above). Without a network, install these by other means: ${missing[*]}"
fi
