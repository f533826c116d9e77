#include "remote_userfaultfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "remote_descriptor.h"
#include "remote_visit.h"

#define UFFD_FLAGS (O_CLOEXEC | O_NONBLOCK)
#define NEW_USERFAULTFD _IO(0xAA, 0x00) /* USERFAULTFD_IOC_NEW, Linux 6.1 */

struct theft {
	pid_t pid;
	int device; /* /dev/userfaultfd, or -1 */
	int fd;     /* the result, or -1 */
};

static bool fail_to_make(const struct theft *theft, long result, struct remote_error *error)
{
	bool is_missing = result == -ENOSYS;
	return remote_fail(error, is_missing ? REMOTE_REFUSED : REMOTE_FAILED, (int)-result, "userfaultfd in process %d", theft->pid);
}

/* The process has no right to make one itself, but may use the device. */
static bool make_by_device(const struct theft *theft, struct remote_call *call, long *made, struct remote_error *error)
{
	if (theft->device < 0)
		return remote_fail(error, REMOTE_REFUSED, EPERM, "process %d may not use userfaultfd, and there is no /dev/userfaultfd",
				   theft->pid);
	int given = remote_give_descriptor(call, theft->pid, theft->device, error);
	if (given < 0) return false;
	*made = REMOTE_CALL(call, SYS_ioctl, (unsigned long)given, NEW_USERFAULTFD, UFFD_FLAGS);
	REMOTE_CALL(call, SYS_close, (unsigned long)given);
	return *made >= 0 || fail_to_make(theft, *made, error);
}

static bool make(const struct theft *theft, struct remote_call *call, long *made, struct remote_error *error)
{
	*made = REMOTE_CALL(call, SYS_userfaultfd, UFFD_FLAGS);
	if (*made == -EPERM) return make_by_device(theft, call, made, error);
	return *made >= 0 || fail_to_make(theft, *made, error);
}

static bool steal(struct remote_call *call, void *argument, struct remote_error *error)
{
	struct theft *theft = argument;
	long made;
	if (!make(theft, call, &made, error)) return false;
	theft->fd = remote_take_descriptor(theft->pid, call->tid, (int)made);
	if (theft->fd < 0) remote_fail(error, REMOTE_FAILED, errno, "a descriptor of process %d", theft->pid);
	REMOTE_CALL(call, SYS_close, (unsigned long)made);
	return theft->fd >= 0;
}

int remote_userfaultfd(pid_t pid, struct remote_error *error)
{
	struct theft theft = {.pid = pid, .fd = -1};
	theft.device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	bool is_done = remote_visit(pid, steal, &theft, error);
	if (theft.device >= 0) close(theft.device);
	if (is_done) return theft.fd;
	if (theft.fd >= 0) close(theft.fd);
	return -1;
}
