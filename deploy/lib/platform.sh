# What has to be there before anything else.

check_platform() {
  [ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] ||
    fail "Holdfast runs on Linux x86_64; this is $(uname -s) $(uname -m)."
  [ "$(id -u)" = 0 ] ||
    fail 'Run this as root: CRIU, the agent and the simulated nodes need it.'
  command -v node > /dev/null && command -v npm > /dev/null ||
    fail 'Node.js 20 or newer, with npm, is missing: install it and run this again.'
  node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
    fail "Node.js 20 or newer is needed; this is $(node --version) at $(command -v node)."
}

is_debian_12() {
  [ -r /etc/os-release ] && (. /etc/os-release && [ "$ID ${VERSION_ID:-}" = 'debian 12' ])
}
