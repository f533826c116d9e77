/*
 * When a program closes its socket to nftables, the kernel waits until what was deleted through it is gone for good (an RCU
 * grace period, 10 to 20 ms). criu deletes its network lock so, and lets the job go only after that wait. What the lock did
 * ended with the deletion itself. So the sockets stay open until criu ends, and the wait comes when the job runs again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "preload_netlink.h"

/* Above the numbers that criu uses for itself at a glance, so that its files keep theirs. */
#define FIRST_KEPT 512

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t length = sizeof value;
	return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

void keep_nftables_socket(int fd)
{
	int reason = errno;
	if (option_of(fd, SO_DOMAIN) == AF_NETLINK && option_of(fd, SO_PROTOCOL) == NETLINK_NETFILTER)
		fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT);
	errno = reason;
}
