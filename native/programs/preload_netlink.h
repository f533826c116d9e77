#ifndef HOLDFAST_PRELOAD_NETLINK_H
#define HOLDFAST_PRELOAD_NETLINK_H

/*
 * Takes another reference to a socket of nftables, which criu is about to close; it ends with criu. Other descriptors are left
 * alone.
 */
void keep_nftables_socket(int fd);

#endif
