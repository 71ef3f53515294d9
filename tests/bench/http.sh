# 1,000 concurrent http.get to a server that waits 100 ms, against one. Sourced by scripts/bench.sh.

http() {
  local server=$build/tests/sloth_test_server port i threads=0
  build_target sloth_test_server "$server" || return 0
  # Both sides need a descriptor for each connection.
  ulimit -Sn "$(ulimit -Hn)"
  coproc server_process { exec "$server"; }
  # The variables that coproc sets go away with the process.
  local server_pid=$server_process_PID
  read -r -u "${server_process[0]}" port || fail "$server did not tell its port"
  for ((i = 0; i < rounds; i++)); do
    bench_line "$work/http_one" one "$sloth" run --output stream --set "port=$port" "$bench/http.lua" one
    observe "$sloth" run --output stream --set "port=$port" "$bench/http.lua" thousand
    awk '/bench thousand/ { print $NF }' "$work/output" >>"$work/http_thousand"
    if ((most_threads > threads)); then threads=$most_threads; fi
  done
  kill "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  local one thousand
  one=$(median "$work/http_one") thousand=$(median "$work/http_thousand")
  printf '\n## http.get of what takes a server 100 ms, by name: milliseconds, rounds: %d\n' "$rounds"
  table work median min
  table_row 'one' "$(figure "$one")" "$(figure "$(minimum "$work/http_one")")"
  table_row '1,000 at once' "$(figure "$thousand")" "$(figure "$(minimum "$work/http_thousand")")"
  table_row 'more than one' "$(figure "$(calculate "$thousand - $one")")" ''
  printf '\nMost threads of the process, as /proc told: %d. Peak memory: %s MiB.\n' "$threads" \
    "$(figure "$(calculate "$peak_kb / 1024")")"
}
