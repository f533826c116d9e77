#include "remote_reap.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "remote_visit.h"

static bool wait_there(struct remote_call *call, void *argument, struct remote_error *error)
{
	pid_t number = *(const pid_t *)argument;
	long result = REMOTE_CALL(call, SYS_wait4, (unsigned long)number, 0, __WALL | WNOHANG, 0);
	if (result == number || result == -ECHILD) return true;
	return remote_fail(error, REMOTE_FAILED, result < 0 ? (int)-result : EAGAIN, "waiting for child %d in thread %d", number, call->tid);
}

bool remote_reap(pid_t parent, pid_t number, struct remote_error *error)
{
	return remote_visit(parent, wait_there, &number, error);
}
