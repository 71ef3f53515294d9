# Sourced by scripts/bench.sh and the parts beside this file: timing, statistics, tables.
# They share: $sloth, $build (its build directory), $work (a directory that goes away), $rounds and $quick.

fail() {
  printf 'bench: %s\n' "$@" >&2
  exit 1
}

# time_command FILE COMMAND...: one run, its wall time in milliseconds as a line of FILE.
time_command() {
  local into=$1 start end
  shift
  start=${EPOCHREALTIME//[!0-9]/}
  "$@" >"$work/output" 2>&1 </dev/null || fail "this failed: $*" "$(tail -n 5 "$work/output")"
  end=${EPOCHREALTIME//[!0-9]/}
  printf '%d.%03d\n' $(((end - start) / 1000)) $(((end - start) % 1000)) >>"$into"
}

# bench_line FILE NAME COMMAND...: one run; the number of its line "bench NAME NUMBER" as a line of FILE.
bench_line() {
  local into=$1 name=$2
  shift 2
  "$@" >"$work/output" 2>&1 </dev/null || fail "this failed: $*" "$(tail -n 5 "$work/output")"
  awk -v name="$name" '/bench/ && $(NF-1) == name { print $NF; found = 1 } END { exit !found }' \
    "$work/output" >>"$into" ||
    fail "no result of $name: $*" "$(tail -n 5 "$work/output")"
}

# observe COMMAND...: one run; sets $peak_kb (resident memory) and $most_threads, as /proc told every 5 ms.
observe() {
  local pid key value rest
  peak_kb=0 most_threads=0
  "$@" >"$work/output" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    while read -r key value rest; do
      case $key in
        State:) [[ $value != Z ]] || break 2 ;;
        VmHWM:) if ((value > peak_kb)); then peak_kb=$value; fi ;;
        Threads:) if ((value > most_threads)); then most_threads=$value; fi ;;
      esac
    done 2>/dev/null <"/proc/$pid/status" || break
    read -rt 0.005 -u "$silence" rest || true
  done
  wait "$pid" || fail "this failed: $*" "$(tail -n 5 "$work/output")"
}

median() {
  sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
minimum() { sort -n "$1" | head -n 1; }

# Three figures that count: 0.0123, 1.23, 12.3, 123, 1234.
figure() {
  awk -v x="$1" 'BEGIN { printf (x >= 99.95 ? "%.0f" : x >= 9.995 ? "%.1f" : x >= 0.0995 ? "%.2f" : "%.4f"), x }'
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }'; }
calculate() { awk "BEGIN { print $1 }"; }
lower() { awk -v a="$1" -v b="$2" 'BEGIN { print a < b ? a : b }'; }

# Cells as a row of a Markdown table.
table_row() {
  printf '|'
  printf ' %s |' "$@"
  printf '\n'
}
table() {  # headings
  printf '\n'
  table_row "$@"
  printf '|'
  printf -- '---|%.0s' "$@"
  printf '\n'
}
