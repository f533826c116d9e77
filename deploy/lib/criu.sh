# A CRIU that works on recent kernels. The one of Debian 12 does not, and installing a newer one would upgrade the
# system's C library: so it is unpacked, with its libraries, into a prefix of its own.

CRIU_PREFIX=/opt/holdfast/criu
CRIU_SUITES='forky sid'

install_criu() {
  if [ -n "${HOLDFAST_CRIU:-}" ]; then
    is_usable_criu "$HOLDFAST_CRIU" ||
      fail "HOLDFAST_CRIU=$HOLDFAST_CRIU is no CRIU >= 4.2 that passes 'criu check' here."
    return 0
  fi
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  if is_usable_criu "$(command -v criu)" || is_usable_criu "$CRIU_PREFIX/bin/criu"; then return 0; fi

  mkdir -p "$(dirname "$CRIU_PREFIX")"
  exec 7>> "$CRIU_PREFIX.lock"
  flock 7
  is_usable_criu "$CRIU_PREFIX/bin/criu" || fetch_criu
}

# is_usable_criu PROGRAM: at least 4.2, and content with this kernel.
is_usable_criu() {
  local version
  [ -n "$1" ] && [ -x "$1" ] || return 1
  version=$("$1" --version 2> /dev/null | sed -n 's/^Version: *//p')
  [ -n "$version" ] && printf '4.2\n%s\n' "$version" | sort --check --version-sort 2> /dev/null && "$1" check
}

fetch_criu() {
  local work
  command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null || no_criu 'this machine has no apt'
  work=$(mktemp -d "$CRIU_PREFIX.XXXXXX")
  # shellcheck disable=SC2064 # the path is known now
  trap "rm -rf '$work'" EXIT
  download_criu "$work" || no_criu 'no Debian mirror in the apt configuration of this machine supplied it'
  unpack_criu "$work"
  is_usable_criu "$work/prefix/bin/criu" || no_criu "'criu check' refuses this kernel"
  rm -rf "$CRIU_PREFIX"
  write_wrapper "$work/prefix" "$CRIU_PREFIX"
  mv "$work/prefix" "$CRIU_PREFIX"
}

no_criu() {
  fail "No usable CRIU: $1." \
    "$(grep '^[EW]: ' "$step_log" | tail -n 3)" \
    "Set HOLDFAST_CRIU=/path/to/criu, version 4.2 or newer; Debian has it in: $CRIU_SUITES."
}

# The machine's own mirrors of its release, as its apt knows them.
debian_mirrors() {
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v release="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" \
      '$1 == release && $2 == "main" && !seen[$3]++ { print $3 }'
}

# download_criu WORK: CRIU and its libraries as packages in WORK/cache, by an apt that believes it has an empty
# system and knows nothing of the machine's other sources.
download_criu() {
  local work=$1 mirror
  mkdir -p "$work"/{lists,cache/archives}/partial "$work/state"
  : > "$work/status"
  local apt=(
    apt-get -o "Dir::Etc::sourcelist=$work/sources" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o "Dir::State=$work/state" -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status"
    -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
  )
  for mirror in $(debian_mirrors); do
    for suite in $CRIU_SUITES; do
      echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done > "$work/sources"
    if "${apt[@]}" update &&
      "${apt[@]}" install --yes --download-only --no-install-recommends criu; then return 0; fi
  done
  return 1
}

# unpack_criu WORK: WORK/prefix from the packages, runnable where it is.
unpack_criu() {
  local work=$1 package
  for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$work/prefix"
  done
  rm -rf "$work/prefix/usr/share"
  mkdir -p "$work/prefix/bin"
  write_wrapper "$work/prefix" "$work/prefix"
}

# write_wrapper DIR PREFIX: DIR/bin/criu, for use when DIR is named PREFIX.
write_wrapper() {
  cat > "$1/bin/criu" << WRAPPER
#!/bin/sh
# Runs CRIU with the loader and the libraries it came with. HOLDFAST_PRELOAD names a library to preload.
p=$2
exec "\$p/usr/lib64/ld-linux-x86-64.so.2" \${HOLDFAST_PRELOAD:+--preload "\$HOLDFAST_PRELOAD"} \\
  --library-path "\$p/usr/lib/x86_64-linux-gnu" "\$p/usr/sbin/criu" "\$@"
WRAPPER
  chmod 755 "$1/bin/criu"
}
