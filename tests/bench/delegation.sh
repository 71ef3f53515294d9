# Tasks on an agent of this machine, beside a bare gRPC round trip. Sourced by scripts/bench.sh.

# delegation_home: a state of its own with a master and an agent "a"; their pids in $master and $agent.
delegation_home() {
  local -x XDG_STATE_HOME=$work/delegation
  mkdir -p "$XDG_STATE_HOME"
  echo '{"users": ["root"], "default_user": "root"}' >"$work/policy.json"
  "$sloth" master start >"$work/master.log" 2>&1 </dev/null & master=$!
  "$sloth" agent start --name a --policy "$work/policy.json" >"$work/agent.log" 2>&1 </dev/null & agent=$!
  local i
  for ((i = 0; i < 200; i++)); do
    grep -q 'connected to the master' "$work/agent.log" && return 0
    sleep 0.05
  done
  fail "the agent has not joined" "$(cat "$work/agent.log")"
}

# of_process PID FIELD: of /proc/PID/status.
of_process() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/status"; }

delegation() {
  local master agent tasks=500 megabytes=256 program=$build/tests/bench/delegation_bench
  ! $quick || { tasks=50 megabytes=32; }
  build_target delegation_bench "$program" || return 0
  delegation_home
  trap 'kill "$agent" "$master" 2>/dev/null || true; rm -rf "$work"' EXIT
  cat >"$work/delegation.lua" <<END
local before
for i = 1, $tasks do
  local one = task("t" .. i):delegate_to("a"):command(function() end)
  if before then one = one:depends_on(before) end
  one:build()
  before = "t" .. i
end
END
  cat >"$work/bulk.lua" <<END
task("bulk"):delegate_to("a"):command(function()
  local part = string.rep(string.rep("0123456789abcdef", 63) .. "fedcba987654321\\n", 64)
  for i = 1, $((megabytes * 16)) do io.stdout:write(part) end
end):build()
END
  cat >"$work/idle.lua" <<'END'
task("idle"):delegate_to("a"):command(function() print("up") goroutine.sleep(1000000) end):build()
END
  local -x XDG_STATE_HOME=$work/delegation
  "$sloth" run -f "$work/delegation.lua" --output json >"$work/output" || fail "the no-op run failed"
  # The first ones find everything cold.
  sed -n 's/.*"task.end".*"elapsed_ms":\([0-9.]*\).*/\1/p' "$work/output" | tail -n +11 | sort -n >"$work/noop"
  local count p50 p99 bare begin end
  count=$(wc -l <"$work/noop")
  p50=$(sed -n "$((count / 2 + 1))p" "$work/noop") p99=$(sed -n "$((count * 99 / 100))p" "$work/noop")
  bare=$("$program")
  begin=$EPOCHREALTIME
  "$sloth" run -f "$work/bulk.lua" --output stream 2>"$work/errors" | wc -c >"$work/bytes" ||
    fail "the bulk run failed" "$(cat "$work/errors")"
  end=$EPOCHREALTIME
  "$sloth" run -f "$work/idle.lua" --output stream >"$work/idle" 2>&1 & local run=$! i attempt=
  for ((i = 0; i < 200; i++)); do grep -q up "$work/idle" && break; sleep 0.05; done
  attempt=$(pgrep -P "$agent" | head -n 1)
  printf '\n## Delegation: %d tasks one after the other, %d MiB of output\n\n' "$tasks" "$megabytes"
  printf '| figure | value | goal |\n|---|---|---|\n'
  printf '| a task that does nothing, p50 | %s ms | 5 |\n| p99 | %s ms | |\n' "$p50" "$p99"
  awk '{ printf "| bare gRPC round trip, %s | %.3f ms | |\n", substr($1, 12), $2 / 1000 }' <<<"$bare"
  printf '| output through agent and master (%s bytes) | %.0f MiB/s | |\n' "$(cat "$work/bytes")" \
    "$(awk -v b="$begin" -v e="$end" -v m="$megabytes" 'BEGIN { print m / (e - b) }')"
  printf '| most memory of the agent | %d MiB | 64 |\n' $(($(of_process "$agent" VmHWM) / 1024))
  printf '| most memory of the master | %d MiB | 64 |\n' $(($(of_process "$master" VmHWM) / 1024))
  if [[ $attempt ]]; then
    printf '| an idle attempt: memory | %d MiB | |\n' $(($(of_process "$attempt" VmRSS) / 1024))
    printf '| an idle attempt: threads | %d | 3 |\n' "$(of_process "$attempt" Threads)"
  fi
  kill "$run"; wait "$run" || true  # a job of a script ignores Ctrl-C
  kill "$agent" "$master"; wait "$agent" "$master" || true
}
