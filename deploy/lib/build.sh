# What is made from the checkout itself; each is skipped when its inputs have not changed.

install_modules() {
  node deploy/lib/modules-current.cjs 2> /dev/null ||
    npm ci --ignore-scripts --no-audit --no-fund --prefer-offline ||
    fail 'npm ci failed.' "$(grep '^npm error' "$step_log" | tail -n 5)"
}

build_native() {
  is_fresh native/build/.made native -name build -prune -o -type f && return 0
  deploy/build-native
  touch native/build/.made
}

build_typescript() {
  is_fresh dist/.made . '(' -name node_modules -o -name dist -o -name .git ')' -prune -o \
    '(' -name '*.ts' -o -name tsconfig.json ')' && return 0
  node_modules/.bin/tsc || fail 'TypeScript does not compile:' "$(grep 'error TS' "$step_log" | head -n 20)"
  touch dist/.made
}

# is_fresh MARK FIND-ARGUMENTS...: whether none of the found files is newer than MARK.
is_fresh() {
  local mark=$1
  shift
  [ -e "$mark" ] && [ -z "$(find "$@" -newer "$mark" -print -quit)" ]
}
