#!/bin/bash
# Boots one simulated node; runs as pid 1 of its new namespaces. Usage: boot.sh NAME ADDRESS PORT, with
# SIM_HOSTS the text of /etc/hosts, SIM_SHARED the directories to keep visible, one a line, and descriptor 9 the
# network namespace of the fabric. Says "up NAME HOSTPID" when the node can be entered.
set -eu
name=$1 address=$2 port=$3

read -r host_pid _ < /proc/self/stat
echo "$name" > /proc/sys/kernel/hostname

nsenter --net=/proc/self/fd/9 ip -batch - <<BATCH
link add $port type veth peer name eth0 netns 1
link set $port master bridge0 up
BATCH
exec 9<&-

# A machine that comes back has the hardware address it had; else its peers would look for the old one for seconds.
printf -v mac '02:00:%02x:%02x:%02x:%02x' ${address//./ }
ip -batch - <<BATCH
link set lo up
link set eth0 address $mac
addr add $address/24 dev eth0
link set eth0 up
BATCH

# Machines exist that have the same mount several times over.
unmount_all() {
  while umount -n --lazy --recursive "$1" 2> /dev/null; do :; done
}

# private_directory DIR MODE: an empty tmpfs in place of DIR, in which shared directories stay visible. It is put
# together at /mnt and moved, so nothing of the machine's own mount stays underneath.
private_directory() {
  local directory=$1 mode=$2 shared
  mount -n -t tmpfs -o "mode=$mode" tmpfs /mnt
  while read -r shared; do
    case $shared in
      "$directory"/*)
        mkdir -p "/mnt/${shared#"$directory"/}"
        mount -n --rbind "$shared" "/mnt/${shared#"$directory"/}"
        ;;
    esac
  done <<< "$SIM_SHARED"
  unmount_all "$directory"
  mount -n --move /mnt "$directory"
}

private_directory /tmp 1777
private_directory /dev/shm 1777
private_directory /run 755
printf '%s\n' "$SIM_HOSTS" > /run/hosts
mount -n --bind /run/hosts /etc/hosts
unmount_all /dev/pts
mount -n -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
umount -n --lazy --recursive /proc
mount -n -t proc proc /proc
# Control groups (v2) of its own; they outlive it, and groups.ts removes them. Those of a run that was killed are
# still there, and pids come round again: what bears this node's pid is of a node long gone.
if groups=$(findmnt --noheadings --first-only --output TARGET --types cgroup2); then
  own=$groups/holdfast-sim-$host_pid
  if [ -d "$own" ]; then find "$own" -type d -delete; fi
  mkdir "$own"
  mount -n --bind "$own" "$groups"
fi

echo "up $name $host_pid"
unset SIM_HOSTS SIM_SHARED
exec tini -- sleep infinity > /dev/null 2>&1
