# Named steps with a line of progress each; what they write goes to a log that is shown only when one fails.

# begin_steps LOG: one bootstrap per checkout at a time; a second one waits, then finds everything done.
begin_steps() {
  step_log=$1
  mkdir -p "$(dirname "$step_log")"
  exec 8>> "$step_log.lock"
  if ! flock --nonblock 8; then
    echo "waiting for another bootstrap of this checkout"
    flock 8
  fi
  : > "$step_log"
}

# step NAME FUNCTION: a failing function ends everything; what it passed to fail() is the reason shown.
step() {
  local name=$1 run=$2 started=${EPOCHREALTIME/./} status=0
  step_note='' step_failure=$(mktemp)
  printf '%-18s' "$name"
  echo "=== $name" >> "$step_log"
  # A subshell of its own: "set -e" holds in it, which it would not do in a condition.
  set +e
  (set -e && "$run") >> "$step_log" 2>&1 < /dev/null 3> "$step_failure" 8>&-
  status=$?
  set -e
  local took_ms=$(((${EPOCHREALTIME/./} - started) / 1000))
  printf '%3d.%d s%s\n' $((took_ms / 1000)) $((took_ms % 1000 / 100)) "$([ $status = 0 ] || echo '  FAILED')"
  if [ $status != 0 ]; then
    {
      # Without a reason of our own the log has to tell.
      if [ -s "$step_failure" ]; then cat "$step_failure"; else tail -n 30 "$step_log"; fi
      echo "(log: $step_log)"
    } >&2
    rm -f "$step_failure"
    exit 1
  fi
  rm -f "$step_failure"
}

# fail LINE...: ends the step with the reason and the remedy; empty lines are left out.
fail() {
  printf '%s\n' "$@" | sed '/^$/d' >&3
  exit 1
}
