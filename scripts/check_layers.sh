#!/usr/bin/env bash
# Checks the shape of the source tree; prints each breach as file:line and exits 1 if there is any.
#
#   scripts/check_layers.sh [ROOT]
#
#   - a room includes only what the table below allows, by root-relative path
#   - a .cc includes its own header first; a header has #pragma once and none of the costly headers
#   - a room has a README.md of at most two screens
#   - nothing new lies in the root
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

declare -A may_include=(
  [base]=''
  [exec]='base'
  [os]='base'
  [task]='base'
  [store]='base task'
  [lua]='base exec'
  [goroutine]='base exec lua'
  [dsl]='base lua task'
  [engine]='base exec lua goroutine task dsl store'
  [modules]='base exec os lua goroutine'
  [agent]='base exec os task store proto'
  [cmd]='base exec os task store lua goroutine dsl engine modules agent'
)
# One header across a border that is closed otherwise: a module may keep values in the store.
declare -A may_also_include=([modules]='runner/store/key_value.h')

root_entries=' CMakeLists.txt cmd runner agent proto modules scripts tests install.sh README.md docs examples LICENSE
  CMakePresets.json build '
readme_lines=90

breaches=0
breach() {
  printf '%s\n' "$*"
  breaches=$((breaches + 1))
}

room_of() {  # path -> $room, '' when it is in none
  case $1 in
    runner/*/*) room=${1#runner/} room=${room%%/*} ;;
    modules/* | agent/* | cmd/*) room=${1%%/*} ;;
    sloth/v1/*.pb.h) room=proto ;;
    *) room='' ;;
  esac
}

check_include() {  # file line header
  local file=$1 line=$2 header=$3 from
  room_of "$file"; from=$room
  room_of "$header"
  if [[ -z $room ]] || [[ $room != proto && ! -e $header && ! -e $header.in ]]; then
    breach "$file:$line: no \"$header\" in any room; includes are relative to the root, as \"runner/base/result.h\""
  elif [[ $room != "$from" && " ${may_include[$from]-} " != *" $room "* &&
    " ${may_also_include[$from]-} " != *" $header "* ]]; then
    breach "$file:$line: $from includes \"$header\", but may use only: ${may_include[$from]:-nothing of ours}"
  fi
}

mapfile -t sources < <(find runner modules agent cmd -name '*.h' -o -name '*.cc' 2>/dev/null | LC_ALL=C sort)
if ((${#sources[@]} == 0)); then
  echo "check_layers: no sources under $PWD" >&2
  exit 2
fi

while IFS=: read -r file line text; do
  room_of "$file"
  if [[ -z ${may_include[$room]+known} ]]; then
    breach "$file:$line: room \"$room\" is not in the table of scripts/check_layers.sh"
  elif [[ $text =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*\"([^\"]*)\" ]]; then
    check_include "$file" "$line" "${BASH_REMATCH[1]}"
  elif [[ $file == *.h && $text =~ \<(CLI/|nlohmann/json\.hpp|spdlog/|grpcpp/) ]]; then
    breach "$file:$line: a header may not include ${text#*include }: it is costly; include it in the .cc"
  fi
done < <(grep -HnE '^[[:space:]]*#[[:space:]]*include' "${sources[@]}")

for file in "${sources[@]}"; do
  if [[ $file == *.h ]]; then
    grep -q '^#pragma once$' "$file" || breach "$file:1: no #pragma once"
  elif [[ -e ${file%.cc}.h ]]; then
    first=$(grep -m1 -E '^[[:space:]]*#[[:space:]]*include' "$file" || true)
    [[ $first == "#include \"${file%.cc}.h\"" ]] || breach "$file:1: its first include must be \"${file%.cc}.h\""
  fi
done

while IFS= read -r folder; do
  if [[ ! -e $folder/README.md ]]; then
    breach "$folder: no README.md"
  elif (($(wc -l <"$folder/README.md") > readme_lines)); then
    breach "$folder/README.md: longer than two screens ($readme_lines lines)"
  fi
done < <(printf '%s\n' "${sources[@]}" | sed -E 's,^(runner/[^/]+|[^/]+)/.*,\1,' | sort -u)

for entry in *; do
  [[ ${root_entries//$'\n'/ } == *" $entry "* ]] || breach "$entry: not one of the root's entries"
done

if ((breaches > 0)); then
  echo "check_layers: $breaches breaches" >&2
  exit 1
fi
