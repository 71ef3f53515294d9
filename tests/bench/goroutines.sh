# Goroutines beside Go. Sourced by scripts/bench.sh. Every figure is the median of processes that measure one row each;
# Go runs with one and with two cores, and the better one counts.

# name|work|unit|goal, as a ratio to Go or "< N" for a bound
goroutine_rows=(
  'create_batches|create + run + join, closure, batches of 1,000|ns|0.45'
  'create_live|create + run + join, closure, 100,000 at once|ns|0.45'
  'memory_100k|memory per waiting goroutine, 100,000|bytes|0.25'
  'memory_1m|memory per waiting goroutine, 990,000|bytes|0.25'
  'yield|yield: one switch|ns|0.35'
  'ping_pong|unbuffered channel, round trip|ns|0.4'
  'one_way|unbuffered channel, one message|ns|0.4'
  'buffered|channel of 1,024, one message|ns|0.25'
  'async_await|async + await, one at a time|ns|0.5'
  'mutex|mutex of 8, a yield inside|ns|0.5'
  'timeout|timeout that completes|ns|0.5'
  'select_ready|send + select of 2, one ready|ns|0.7'
  'select_blocking|select of 2, waiting|ns|0.7'
  'pool|pool of 4: submit + run an empty job|ns|1.1'
  'pool_10000|10,000 jobs in a pool of 10|ms|1.1'
  'sleepers|100,000 sleep 10 ms, wall|ms|0.5'
  'gc_pause|longest collector pause beside 10,000 waiting|ms|< 0.5'
)

build_go() {
  go_program=''
  if ! command -v go >/dev/null; then
    printf '\nNo `go` on PATH: the columns of Go stay empty.\n'
    return
  fi
  if (cd "$bench" && GOTOOLCHAIN=local GOPROXY=off GOFLAGS='' go build -o "$work/goroutines" goroutines.go) \
    >"$work/output" 2>&1; then
    go_program=$work/goroutines
  else
    printf '\nGo could not build goroutines.go: %s\n' "$(head -n 3 "$work/output")"
  fi
}

goroutines() {
  local i line name work_text unit goal ours one two better verdict
  build_go
  printf '\n## Goroutines: medians of %d processes%s\n' "$rounds" "${go_program:+, $(go version | cut -d ' ' -f 3)}"
  for ((i = 0; i < rounds; i++)); do
    for line in "${goroutine_rows[@]}"; do
      name=${line%%|*}
      if $quick && [[ $name == memory_1m ]]; then continue; fi
      bench_line "$work/ours_$name" "$name" "$sloth" run --output stream "$bench/goroutines.lua" "$name"
      if [[ $go_program && $name != gc_pause ]]; then
        GOMAXPROCS=1 bench_line "$work/go1_$name" "$name" "$go_program" "$name"
        GOMAXPROCS=2 bench_line "$work/go2_$name" "$name" "$go_program" "$name"
      fi
    done
  done
  table work unit sloth 'Go, 1 core' 'Go, 2 cores' ratio goal ''
  for line in "${goroutine_rows[@]}"; do
    IFS='|' read -r name work_text unit goal <<<"$line"
    [[ -e $work/ours_$name ]] || continue
    ours=$(median "$work/ours_$name") one=- two=- better='' verdict=''
    if [[ -e $work/go1_$name ]]; then
      one=$(median "$work/go1_$name") two=$(median "$work/go2_$name")
      better=$(ratio "$ours" "$(lower "$one" "$two")")
      one=$(figure "$one") two=$(figure "$two")
    fi
    if [[ $goal == '< '* ]]; then
      verdict=$(calculate "($ours $goal) ? \"met\" : \"missed\"")
    elif [[ $better ]]; then
      verdict=$(calculate "($better <= $goal) ? \"met\" : \"missed\"")
    fi
    table_row "$work_text" "$unit" "$(figure "$ours")" "$one" "$two" "${better:--}" "$goal" "${verdict:--}"
  done
}
