# System packages. Each has a probe, a command or a file, so that a machine which got them in another way, or is
# no Debian, passes as well; and so that nothing is asked of apt when everything is there.

PACKAGES='
g++             g++
gcc             gcc
make            make
python3         python3
libc6-dev       /usr/include/stdio.h
libssl-dev      /usr/include/openssl/evp.h
libzstd-dev     /usr/include/zstd.h
liblz4-dev      /usr/include/lz4.h
libxxhash-dev   /usr/include/xxhash.h
xxhash          xxh128sum
zstd            zstd
openssl         openssl
util-linux      nsenter
procps          ps
iproute2        ip
nftables        nft
munge           munge
tini            tini
zsh             zsh
fish            fish
redis-server    redis-server
openmpi-bin     mpirun.openmpi
libopenmpi-dev  mpicc.openmpi
mpich           mpirun.mpich
libmpich-dev    /usr/include/x86_64-linux-gnu/mpich/mpi.h
ceph-mon        ceph-mon
ceph-osd        ceph-osd
ceph-common     ceph
radosgw         radosgw
munge           munged
slurmctld       slurmctld
slurmd          slurmd
slurm-client    sbatch
slurmdbd        slurmdbd
mariadb-server-core  mariadbd
libslurm-dev    /usr/include/slurm/spank.h
'

probe() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" > /dev/null ;;
  esac
}

missing_packages() {
  local package what
  while read -r package what; do
    [ -z "$package" ] || probe "$what" || echo "$package"
  done <<< "$PACKAGES"
}

install_packages() {
  local missing
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  missing=$(missing_packages | xargs)
  [ -n "$missing" ] || return 0
  is_debian_12 ||
    fail "Missing, by their Debian names: $missing." 'Only on Debian 12 this installs them itself.'

  export DEBIAN_FRONTEND=noninteractive
  forbid_service_starts
  # The lists of a repository that does not answer are no obstacle as long as the others have the packages.
  patient_apt update || true
  # shellcheck disable=SC2086 # a list of names
  patient_apt install --yes --no-install-recommends $missing ||
    fail "apt-get could not install: $missing." \
      "$(grep '^E: ' "$step_log" | tail -n 3)" \
      'Install them yourself, or make a Debian 12 mirror reachable.'
  missing=$(missing_packages | xargs)
  [ -z "$missing" ] || fail "Installed, but not usable: $missing."
}

# patient_apt COMMAND...: waits for another apt or dpkg, up to five minutes.
patient_apt() {
  local output attempt
  output=$(mktemp)
  for attempt in {1..60}; do
    if apt-get -o DPkg::Lock::Timeout=300 "$@" 2>&1 | tee "$output"; then
      rm "$output"
      return 0
    fi
    grep -q 'Could not get lock' "$output" || break
    sleep 5
  done
  rm "$output"
  return 1
}

# Packages of servers start them when installed; ours are only started by tests, in places of their own.
forbid_service_starts() {
  local policy=/usr/sbin/policy-rc.d
  [ ! -e "$policy" ] || return 0
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  # shellcheck disable=SC2064 # the path is known now
  trap "rm -f '$policy'" EXIT
}
