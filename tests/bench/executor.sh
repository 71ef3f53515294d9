# The executor beside oneTBB. Sourced by scripts/bench.sh.

executor() {
  local program=$build/tests/bench/executor_bench i row name text ours tbb part goal
  build_target executor_bench "$program" || return 0
  printf '\n## Executor: nanoseconds for an empty task, medians of %d processes\n' "$rounds"
  for ((i = 0; i < rounds; i++)); do
    "$program" >"$work/output" || fail "$program failed"
    while read -r _ name ours; do echo "$ours" >>"$work/executor_$name"; done <"$work/output"
  done
  table work sloth oneTBB ratio goal
  for row in one_spawner_1 one_spawner_2 outside_1 outside_2; do
    ours=$(median "$work/executor_$row") tbb=- part=- goal=- text='posted from outside'
    case $row in
      one_spawner_1) text='posted by a task' goal=0.5 ;;
      one_spawner_2) text='posted by a task' goal=0.6 ;;
    esac
    if [[ -e $work/executor_tbb_$row ]]; then
      tbb=$(figure "$(median "$work/executor_tbb_$row")")
      part=$(ratio "$ours" "$tbb")
    fi
    table_row "$text, workers: ${row##*_}" "$(figure "$ours")" "$tbb" "$part" "$goal"
  done
}
