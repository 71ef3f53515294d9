#!/usr/bin/env bash
# Many agents and many tasks with dependencies at once; then the agents' journals, the master's database and what the tasks
# left behind must agree that each ran exactly once. By hand: it takes minutes.
set -euo pipefail
if (($# != 1 && $# != 3)); then
  echo "usage: tests/bench/fleet.sh SLOTH [AGENTS TASKS]    default: 20 agents, 1000 tasks each" >&2
  exit 2
fi
sloth=$(realpath "$1") agents=${2-20} tasks=${3-1000}
command -v sqlite3 >/dev/null || { echo "fleet: sqlite3 is needed" >&2; exit 2; }

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
for ((i = 0; i < agents; i++)); do
  "$sloth" agent start --name "a$i" --policy "$work/policy.json" >"$work/a$i.log" 2>&1 </dev/null & pids+=($!)
done
for ((i = 0; i < agents; i++)); do
  until grep -q 'connected to the master' "$work/a$i.log"; do sleep 0.1; done
done

cat >"$work/tasks.lua" <<END
for i = 0, $((agents * tasks - 1)) do
  local one = task("t" .. i):delegate_to("a" .. i % $agents):command(function(this)
    local file = assert(io.open("$work/ran", "a"))
    file:write(this.name .. "\n")
    file:close()
  end)
  if i >= 200 then one = one:depends_on("t" .. i - 200) end
  one:build()
end
END
begin=$SECONDS
"$sloth" run -f "$work/tasks.lua" -j 64 -q </dev/null
echo "$((agents * tasks)) tasks on $agents agents in $((SECONDS - begin)) s"

sqlite3 "$XDG_STATE_HOME/sloth/master/master.db" "select id || ' ' || state from attempts" | sort >"$work/master"
for ((i = 0; i < agents; i++)); do
  # What came home is forgotten after a while; its epoch stays.
  sqlite3 "$XDG_STATE_HOME/sloth/agents/a$i/journal.db" "select id || ' succeeded' from epochs"
done | sort >"$work/agents"
wanted=$((agents * tasks))
(($(wc -l <"$work/ran") == wanted && $(sort -u "$work/ran" | wc -l) == wanted)) || { echo "fleet: not each ran once" >&2; exit 1; }
(($(sort -u "$work/master" | wc -l) == wanted)) || { echo "fleet: the master counts otherwise" >&2; exit 1; }
cmp "$work/master" "$work/agents" || { echo "fleet: master and agents disagree" >&2; exit 1; }
echo "each exactly once: $wanted on the disk, in the master's database and in the journals"
