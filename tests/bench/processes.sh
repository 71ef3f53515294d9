# Whole processes: start-up and 1,000 commands beside make, many Lua tasks. Sourced by scripts/bench.sh.
# Every round runs each case once, so that a change of the machine's load meets all of them.

# rounds_of N CASE...: $work/CASE gets the times of N runs of the function CASE, after one that does not count.
rounds_of() {
  local n=$1 i case
  shift
  for case in "$@"; do "$case" "$work/warm-up"; done
  for ((i = 0; i < n; i++)); do
    for case in "$@"; do "$case" "$work/$case"; done
  done
}

# compare CASE_OF_MAKE CASE...: the table of what rounds_of took. On a busy machine the minima are the better guide.
compare() {
  local make=$work/$1 median_ms min_ms case
  shift
  table process median min 'median to make' 'min to make'
  for case in "$@"; do
    median_ms=$(median "$work/$case") min_ms=$(minimum "$work/$case")
    table_row "${case_names[$case]}" "$(figure "$median_ms")" "$(figure "$min_ms")" \
      "$(ratio "$median_ms" "$(median "$make")")" "$(ratio "$min_ms" "$(minimum "$make")")"
  done
}

declare -A case_names=(
  [start_version]='`sloth version`'
  [start_command]='`sloth run`, one task `/bin/true`'
  [start_lua]='`sloth run`, one empty Lua task'
  [start_make]='`make`, one target `/bin/true`'
  [start_bash]='`bash -c true`'
  [many_sloth]='`sloth run -j2`'
  [many_make]='`make -j2`, which starts `/bin/true` itself'
  [many_make_shell]='`make -j2`, through `sh`'
)
start_version() { time_command "$1" "$sloth" version; }
start_command() { time_command "$1" "$sloth" run "$work/one.lua" command; }
start_lua() { time_command "$1" "$sloth" run "$work/one.lua" lua; }
start_make() { time_command "$1" make -f "$work/one.mk"; }
start_bash() { time_command "$1" bash -c true; }

many_sloth() { time_command "$1" "$sloth" run -j2 "$work/many.lua"; }
many_make() { time_command "$1" make -j2 -f "$work/many.mk"; }
many_make_shell() { time_command "$1" make -j2 -f "$work/many_shell.mk"; }

processes() {
  local targets starts=$((rounds * 6))
  cat >"$work/one.lua" <<'END'
task("command"):command("/bin/true"):build()
task("lua"):command(function() end):build()
END
  printf 'one:\n\t/bin/true\n' >"$work/one.mk"
  cat >"$work/many.lua" <<'END'
for i = 1, 1000 do task("t" .. i):command("/bin/true"):build() end
END
  # make starts a plain command itself and gives one with a colon to sh; sloth always asks sh.
  targets=$(printf 't%d ' {1..1000})
  printf '.PHONY: all %s\nall: %s\n%s:\n\t/bin/true\n' "$targets" "$targets" "$targets" >"$work/many.mk"
  printf '.PHONY: all %s\nall: %s\n%s:\n\t: ; /bin/true\n' "$targets" "$targets" "$targets" >"$work/many_shell.mk"

  printf '\n## Starting a process: milliseconds, rounds: %d\n' "$starts"
  rounds_of "$starts" start_version start_command start_lua start_make start_bash
  compare start_make start_version start_command start_lua start_make start_bash

  printf '\n## 1,000 tasks of `/bin/true`, two at once: milliseconds, rounds: %d\n' "$rounds"
  rounds_of "$rounds" many_sloth many_make many_make_shell
  compare many_make many_sloth many_make many_make_shell

  many_lua_tasks
}

many_lua_tasks() {
  local sizes=(1000 2000 5000 10000) n=$(((rounds + 1) / 2)) i size ms each more first_each='' first_kb=''
  if $quick; then sizes=(1000 2000); fi
  printf '\n## Empty Lua tasks that share a captured table of 2,000 entries, `-j2`; rounds: %d\n' "$n"
  for ((i = 0; i < n; i++)); do
    for size in "${sizes[@]}"; do
      time_command "$work/tasks_$size" "$sloth" run -q -j2 --set "tasks=$size" "$bench/tasks.lua"
    done
  done
  table tasks 'ms, median' 'ms per task' 'ratio to the first row' 'peak MiB' 'KiB for each further task'
  for size in "${sizes[@]}"; do
    observe "$sloth" run -q -j2 --set "tasks=$size" "$bench/tasks.lua"
    ms=$(median "$work/tasks_$size") more=-
    each=$(calculate "$ms / $size")
    if [[ $first_each ]]; then more=$(figure "$(calculate "($peak_kb - $first_kb) / ($size - ${sizes[0]})")"); fi
    first_each=${first_each:-$each} first_kb=${first_kb:-$peak_kb}
    table_row "$size" "$(figure "$ms")" "$(figure "$each")" "$(ratio "$each" "$first_each")" \
      "$(figure "$(calculate "$peak_kb / 1024")")" "$more"
  done
}
