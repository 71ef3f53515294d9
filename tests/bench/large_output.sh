#!/usr/bin/env bash
# A task writes much; what the run gets has the same SHA-256. By hand: it takes minutes and as much disk.
set -euo pipefail
if (($# < 1 || $# > 2)); then
  echo "usage: tests/bench/large_output.sh SLOTH [MEBIBYTES]    default: 1024" >&2
  exit 2
fi
sloth=$(realpath "$1") megabytes=${2-1024}

work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
pids=()
finish() {
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap finish EXIT
mkdir "$XDG_STATE_HOME"
echo '{"users": ["root"], "default_user": "root"}' >"$work/policy.json"
"$sloth" master start >"$work/master.log" 2>&1 </dev/null & pids+=($!)
"$sloth" agent start --name a --policy "$work/policy.json" >"$work/agent.log" 2>&1 </dev/null & pids+=($!)
until grep -q 'connected to the master' "$work/agent.log"; do sleep 0.1; done

# Bytes that do not repeat: a counter through a hash would be slow, numbered lines are not.
produce="seq -f '%016.0f the quick brown fox jumps over the lazy dog' 1 1000000000 | head -c $((megabytes << 20))"
cat >"$work/tasks.lua" <<END
task("large"):delegate_to("a"):command([[$produce]]):build()
END
wanted=$(bash -c "$produce" 2>/dev/null | sha256sum)
begin=$EPOCHREALTIME
got=$("$sloth" run -f "$work/tasks.lua" --output stream </dev/null 2>/dev/null | sha256sum)
end=$EPOCHREALTIME
awk -v b="$begin" -v e="$end" -v m="$megabytes" 'BEGIN { printf "%d MiB in %.1f s: %.0f MiB/s\n", m, e - b, m / (e - b) }'
for i in 0 1; do
  printf '%s: at most %d MiB of memory\n' "$( ((i == 0)) && echo master || echo agent)" \
    $(($(awk '$1 == "VmHWM:" { print $2 }' "/proc/${pids[i]}/status") / 1024))
done
[[ $got == "$wanted" ]] || { echo "large_output: $got, wanted $wanted" >&2; exit 1; }
echo "SHA-256 equal: ${got%% *}"
