#!/bin/bash
# Makes a simulated node one of a Slurm cluster; runs in it as root, after each boot. Usage: prepare.sh DIRECTORY
# HOSTPID, with DIRECTORY what config.ts wrote, and HOSTPID the node's init as the machine knows it.
set -eu
directory=$1 host_pid=$2

mount -n --bind "$directory/passwd" /etc/passwd
mount -n --bind "$directory/group" /etc/group
mount -n --bind "$directory/etc" /etc/slurm

# Slurm's control groups (v1) lie below directories of the node's own: no two clusters see each other's jobs. As in
# boot.sh, the machine's own mount is taken away first, and what bears this pid is of a node long gone.
own=holdfast-sim-$host_pid
for controller in freezer memory cpuset devices cpuacct; do
  root=$(findmnt --noheadings --first-only --output TARGET --types cgroup --options "$controller") || continue
  if [ -d "$root/$own" ]; then find "$root/$own" -depth -type d -exec rmdir {} +; fi
  mkdir "$root/$own"
  if [ "$controller" = cpuset ]; then
    cat "$root/cpuset.cpus" > "$root/$own/cpuset.cpus"
    cat "$root/cpuset.mems" > "$root/$own/cpuset.mems"
  fi
  mount -n --bind "$root/$own" /mnt
  umount -n --lazy "$root"
  mount -n --move /mnt "$root"
done

mkdir -m 755 /run/munge
# --force: the key and the log lie in a directory that others may enter.
munged --force --key-file="$directory/munge.key" --seed-file=/run/munge/seed --pid-file=/run/munge/munged.pid \
  --socket=/run/munge/munge.socket.2 --log-file="$directory/munged-$HOSTNAME.log"
