#!/bin/bash
# The network of one simulated cluster: pid 1 of a pid namespace around all its nodes, and owner of the bridge.
# Reads "boot NAME ADDRESS PORT" lines; ends at the end of its input, that is when whoever started it ends, in
# whatever way. The kernel then kills every process of every node, and with them go the namespaces.
# stdout: "fabric HOSTPID" once, then what boot.sh says, or "failed NAME".
set -eu
here=${BASH_SOURCE[0]%/*}

# The /proc here is still that of the outer pid namespace, so this is our pid as the outside knows it.
read -r host_pid _ < /proc/self/stat
ip -batch - <<BATCH
link set lo up
link add bridge0 type bridge
link set bridge0 up
BATCH
exec 9< /proc/self/ns/net
echo "fabric $host_pid"

while read -r verb name address port; do
  [ "$verb" = boot ] || { echo "fabric.sh: unknown request: $verb" >&2; exit 2; }
  {
    unshare --net --uts --ipc --mount --pid --fork "$here/boot.sh" "$name" "$address" "$port" < /dev/null ||
      echo "failed $name"
  } &
done
