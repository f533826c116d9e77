#include "remote_descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define OF_THREAD O_EXCL /* PIDFD_THREAD, Linux 6.9 */
#define SCRATCH_BYTES 4096

int remote_take_descriptor(pid_t pid, pid_t tid, int remote_fd)
{
	/* A leader that has ended before other threads has no descriptors any more. */
	int process = (int)syscall(SYS_pidfd_open, tid, tid == pid ? 0 : OF_THREAD);
	if (process < 0) return -1;
	int fd = (int)syscall(SYS_pidfd_getfd, process, remote_fd, 0);
	int reason = errno;
	close(process);
	errno = reason;
	return fd;
}

/* The memory of the process that its system calls are given addresses of. */
struct scratch {
	int sockets[2];
	char text;
	struct iovec part;
	struct msghdr message;
	char control[CMSG_SPACE(sizeof(int))];
};

static bool copy_out(pid_t tid, unsigned long address, const void *bytes, size_t size)
{
	struct iovec local = {(void *)bytes, size}, remote = {(void *)address, size};
	return process_vm_writev(tid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static bool copy_in(pid_t tid, unsigned long address, void *bytes, size_t size)
{
	struct iovec local = {bytes, size}, remote = {(void *)address, size};
	return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static bool send_descriptor(int socket, int fd)
{
	char text = 0, control[CMSG_SPACE(sizeof fd)] = {0};
	struct iovec part = {&text, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

/* Puts our descriptor into the pair whose ends the process holds, through a copy of its first end. */
static bool send_into_pair(struct remote_call *call, pid_t pid, const int sockets[2], int fd)
{
	int end = remote_take_descriptor(pid, call->tid, sockets[0]);
	if (end < 0) return false;
	bool is_sent = send_descriptor(end, fd);
	int reason = errno;
	close(end);
	errno = reason;
	return is_sent;
}

/* The process receives the descriptor from the second end. */
static int receive_from_pair(struct remote_call *call, unsigned long at, int socket, struct remote_error *error)
{
	struct scratch scratch = {0};
#define IN_SCRATCH(member) ((void *)(at + offsetof(struct scratch, member)))
	scratch.part = (struct iovec){IN_SCRATCH(text), 1};
	scratch.message = (struct msghdr){.msg_iov = IN_SCRATCH(part),
					  .msg_iovlen = 1,
					  .msg_control = IN_SCRATCH(control),
					  .msg_controllen = sizeof scratch.control};
	long result = copy_out(call->tid, at, &scratch, sizeof scratch) ? 0 : -errno;
	if (result >= 0)
		result = REMOTE_CALL(call, SYS_recvmsg, (unsigned long)socket, (unsigned long)IN_SCRATCH(message),
				     MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
#undef IN_SCRATCH
	if (result >= 0) result = copy_in(call->tid, at, &scratch, sizeof scratch) ? 0 : -errno;
	struct cmsghdr *header = (struct cmsghdr *)scratch.control;
	if (result < 0 || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) {
		/* Without a control message: no room for one more descriptor. */
		remote_fail(error, REMOTE_FAILED, result < 0 ? (int)-result : EMFILE, "receiving a descriptor in thread %d", call->tid);
		return -1;
	}
	int given;
	memcpy(&given, CMSG_DATA(header), sizeof given);
	return given;
}

static int give_through_pair(struct remote_call *call, pid_t pid, int fd, unsigned long at, struct remote_error *error)
{
	int sockets[2], given = -1;
	long result = REMOTE_CALL(call, SYS_socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, at);
	if (result < 0) {
		remote_fail(error, REMOTE_FAILED, (int)-result, "a pair of sockets in thread %d", call->tid);
		return -1;
	}
	if (!copy_in(call->tid, at, sockets, sizeof sockets)) {
		remote_fail(error, REMOTE_GONE, errno, "thread %d", call->tid);
		return -1;
	}
	if (send_into_pair(call, pid, sockets, fd)) given = receive_from_pair(call, at, sockets[1], error);
	else remote_fail(error, REMOTE_FAILED, errno, "sending a descriptor to thread %d", call->tid);
	for (int i = 0; i < 2; i++) REMOTE_CALL(call, SYS_close, (unsigned long)sockets[i]);
	return given;
}

int remote_give_descriptor(struct remote_call *call, pid_t pid, int fd, struct remote_error *error)
{
	/* Memory of its own: where a stack may be written is not known. */
	long at = REMOTE_CALL(call, SYS_mmap, 0, SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~0UL, 0);
	if (at < 0 && at > -4096) {
		remote_fail(error, REMOTE_FAILED, (int)-at, "a page of memory in thread %d", call->tid);
		return -1;
	}
	int given = give_through_pair(call, pid, fd, (unsigned long)at, error);
	REMOTE_CALL(call, SYS_munmap, (unsigned long)at, SCRATCH_BYTES);
	return given;
}
